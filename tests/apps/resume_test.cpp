// --resume: a run that was stopped anywhere ends in the same bytes as one that was not.
#include <nlohmann/json.hpp>

#include "tests/apps/run_affuse.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// A table without the columns that a clock wrote.
std::string timeless(const std::string& file) {
  const CsvTable table = CsvTable::read(file);
  std::string text;
  for (std::size_t row = 0; row < table.rows(); ++row)
    for (int c = 0; c < static_cast<int>(table.header().size()); ++c) {
      const std::string& name = table.header()[static_cast<std::size_t>(c)];
      if (name != "seconds" && name != "images_per_s") text += table.text(row, c) + ",";
    }
  return text;
}

/// 24 batches an epoch, 4 epochs, the last two averaged, some labels flipped.
class Resume : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
  }

  static Arguments train(const std::string& out, const Arguments& more = {}) {
    Arguments all = {"train",
                     "c.json",
                     "train.epochs=4",
                     "train.batch_size=4",
                     "swa.enabled=true",
                     "swa.start_epoch=3",
                     "noise.rate=0.2",
                     "label_model.kind=noise_aware",
                     "--out",
                     out,
                     "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void complete(const std::string& out, const Arguments& more = {}) {
    affuse_ok(folder_, train(out, more));
  }
  /// Starts a run and, when step `step` is logged, sends it `signal`.
  Outcome stop(const std::string& out, const Arguments& more, std::int64_t step, int signal) {
    Program program(folder_.path(), train(out, more));
    const std::string row = "\n" + std::to_string(step) + ",";
    EXPECT_TRUE(program.wait_until([&] { return contains(steps_of(out), row); }));
    program.signal(signal);
    return program.finish();
  }
  std::string steps_of(const std::string& run) const {
    const std::string file = folder_ / run + "/steps.csv";
    return fs::exists(file) ? read_text(file) : std::string();
  }
  Outcome resume(const std::string& run, Arguments more = {}) {
    more.insert(more.begin(), {"train", "--resume", run});
    return affuse(folder_, more);
  }
  void resume_ok(const std::string& run, const Arguments& more = {}) {
    const Outcome outcome = resume(run, more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  std::string state_of(const std::string& run) const {
    return nlohmann::json::parse(read_text(folder_ / run + "/status.json"))["state"];
  }

  void expect_same(const std::string& run, const std::string& reference) const {
    for (const char* name : {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                             "checkpoints/swa.safetensors", "predictions.csv", "labels.json",
                             "status.json", "config.json", "skipped.csv"})
      EXPECT_TRUE(read_text(folder_ / run + "/" + name) ==
                  read_text(folder_ / reference + "/" + name))
          << name;
    for (const char* name : {"metrics.csv", "steps.csv"})
      EXPECT_EQ(timeless(folder_ / run + "/" + name), timeless(folder_ / reference + "/" + name));
  }

  /// Stopped at step `step` of 96 and resumed.
  void expect_the_same_bytes(const std::string& run, const Arguments& more, std::int64_t step,
                             int signal) {
    EXPECT_EQ(stop(run, more, step, signal).status, 128 + signal);
    EXPECT_EQ(state_of(run), signal == SIGKILL ? "running" : "stopped");
    EXPECT_FALSE(fs::exists(folder_ / run + "/predictions.csv"));
    resume_ok(run);
    expect_same(run, "whole");
  }

  const Folder folder_;
};

TEST_F(Resume, EndsInTheSameBytesInFp32) {
  complete("whole");
  expect_the_same_bytes("stopped", {}, 32, SIGINT);
  expect_the_same_bytes("killed early", {}, 3, SIGKILL);  // before the first checkpoint
  expect_the_same_bytes("killed late", {}, 80, SIGKILL);
}

TEST_F(Resume, EndsInTheSameBytesInBf16) {
  const Arguments more = {"train.precision=bf16"};
  complete("whole", more);
  expect_the_same_bytes("stopped", more, 80, SIGTERM);  // while weights are averaged
  expect_the_same_bytes("killed", more, 32, SIGKILL);
}

TEST_F(Resume, MoreEpochsAreARunThatHadThemFromTheStart) {
  complete("whole");
  complete("short", {"train.epochs=3"});
  resume_ok("short", {"train.epochs=4"});
  expect_same("short", "whole");
  const Outcome outcome = resume("short", {"train.epochs=3"});
  EXPECT_TRUE(contains(complaint(outcome, 2), "train.epochs: 4 in the run, 3 now"));
}

TEST_F(Resume, AFinishedRunSaysSo) {
  complete("run");
  const std::string last = read_text(folder_ / "run/checkpoints/last.safetensors");
  const std::string steps = steps_of("run");
  for (const Arguments& more : {Arguments{}, Arguments{"data.workers=1", "output.keep=2"}}) {
    const Outcome outcome = resume("run", more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(contains(outcome.err, "this run is finished")) << outcome.err;
  }
  EXPECT_EQ(read_text(folder_ / "run/checkpoints/last.safetensors"), last);
  EXPECT_EQ(steps_of("run"), steps);
}

TEST_F(Resume, ARunThatRanOutOfPatienceIsFinished) {
  complete("run", {"train.patience=1", "train.epochs=40", "optimizer.lr=1e-30"});
  const std::string steps = steps_of("run");
  EXPECT_LT(CsvTable::read(folder_ / "run/metrics.csv").rows(), 40u);
  const Outcome outcome = resume("run");
  EXPECT_TRUE(contains(outcome.err, "this run is finished")) << outcome.err;
  resume_ok("run", {"train.epochs=50"});
  EXPECT_EQ(steps_of("run"), steps) << "patience is over, whatever the number of epochs";
}

TEST_F(Resume, ARunKilledBehindItsLastEpochGetsItsPredictions) {
  for (const std::string select : {"best_macro_f1", "swa"}) {
    complete(select, {"train.select=" + select});
    const std::string file = folder_ / select + "/predictions.csv";
    const std::string predictions = read_text(file);
    fs::remove(file);
    folder_.write(select + "/status.json", R"({"state": "running", "epoch": 4})");
    resume_ok(select);
    EXPECT_EQ(read_text(file), predictions) << select;
    EXPECT_EQ(state_of(select), "done");
  }
}

TEST_F(Resume, ChangedKeysAreRefusedByOldAndNewValue) {
  complete("run", {"train.epochs=1", "swa.start_epoch=1"});
  const std::string what = complaint(resume("run", {"optimizer.lr=0.1", "train.epochs=2"}), 2);
  EXPECT_TRUE(what.starts_with("run: ")) << what;
  EXPECT_TRUE(contains(what, "optimizer.lr: 0.001 in the run, 0.1 now")) << what;
  EXPECT_TRUE(contains(complaint(resume("run", {"train.seed=2", "loss.ce=2"}), 2), "(and 1 more)"));
  EXPECT_TRUE(contains(complaint(resume("nothing"), 2), "no run to resume"));
  resume_ok("run", {"train.epochs=2", "train.threads=1", "data.workers=1", "output.keep=1"});
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoints/epoch_002.safetensors"));
}

TEST_F(Resume, ADamagedCheckpointFallsBackToTheOneBefore) {
  complete("whole");
  EXPECT_EQ(stop("run", {}, 60, SIGINT).status, 128 + SIGINT);
  const std::string last = folder_ / "run/checkpoints/last.safetensors";
  std::string bytes = read_text(last);
  bytes[bytes.size() / 2] ^= 1;
  folder_.write("run/checkpoints/last.safetensors", bytes);
  fs::copy(folder_ / "run", folder_ / "lost", fs::copy_options::recursive);
  const Outcome outcome = resume("run");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "warning: run/checkpoints/last.safetensors: is damaged"));
  EXPECT_TRUE(contains(outcome.err, "going on from run/checkpoints/prev.safetensors"));
  expect_same("run", "whole");

  folder_.write("lost/checkpoints/prev.safetensors", bytes.substr(0, 1000));
  const std::string what = complaint(resume("lost"), 1);
  EXPECT_TRUE(what.starts_with("no usable checkpoint: ")) << what;
  EXPECT_TRUE(contains(what, "last.safetensors") && contains(what, "prev.safetensors")) << what;
}

TEST_F(Resume, CtrlCWhileValidatingWaitsForTheCheckpoint) {
  const Arguments more = {"train.limit_batches=1", "train.epochs=12"};  // hardly any training
  complete("whole", more);
  EXPECT_EQ(stop("run", more, 5, SIGINT).status, 128 + SIGINT);
  resume_ok("run");
  expect_same("run", "whole");
}

TEST_F(Resume, TheTimeLimitStopsWithACheckpoint) {
  complete("run", {"train.max_hours=1e-7"});
  EXPECT_EQ(state_of("run"), "stopped");
  EXPECT_EQ(CsvTable::read(folder_ / "run/steps.csv").rows(), 1u);
  EXPECT_TRUE(contains(read_text(folder_ / "run/run.log"), "train.max_hours is over"));
}

}  // namespace
}  // namespace affuse::test
