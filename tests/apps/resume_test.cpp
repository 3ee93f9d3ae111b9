// --resume: a run that was stopped anywhere ends in the same bytes as one that was not.
#include "tests/apps/stopped_training.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

class Resume : public StoppedTraining {
 protected:
  /// Starts a run and, when step `step` is logged, sends it `signal`.
  Outcome stop(const std::string& out, const Arguments& more, std::int64_t step, int signal) {
    Program program(folder_.path(), train(out, more));
    const std::string row = "\n" + std::to_string(step) + ",";
    EXPECT_TRUE(program.wait_until([&] { return contains(steps_of(out), row); }));
    program.signal(signal);
    return program.finish();
  }
  /// Stopped at step `step` of 96 and resumed.
  void expect_the_same_bytes(const std::string& run, const Arguments& more, std::int64_t step,
                             int signal) {
    EXPECT_EQ(stop(run, more, step, signal).status, 128 + signal);
    EXPECT_EQ(state_of(run), signal == SIGKILL ? "running" : "stopped");
    EXPECT_FALSE(has(run, "predictions.csv"));
    resume_ok(run);
    expect_same(run, "whole");
  }
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

TEST_F(Resume, EndsInTheSameBytesWithFrozenEpochs) {
  const Arguments more = {"train.freeze_epochs=2"};  // 48 steps
  complete("whole", more);
  expect_the_same_bytes("stopped", more, 30, SIGINT);         // among them
  expect_the_same_bytes("killed before", more, 47, SIGKILL);  // at the border, on either side
  expect_the_same_bytes("stopped at", more, 48, SIGINT);
  expect_the_same_bytes("killed behind", more, 49, SIGKILL);
}

TEST_F(Resume, EndsInTheSameBytesWithMixup) {
  const Arguments more = {"augment.mixup=0.4"};
  complete("whole", more);
  expect_the_same_bytes("stopped", more, 32, SIGINT);
  expect_the_same_bytes("killed", more, 80, SIGKILL);
  complete("plain");
  EXPECT_NE(timeless(folder_ / "plain/steps.csv"), timeless(folder_ / "whole/steps.csv"));
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

TEST_F(Resume, AMovedRunGoesOn) {
  complete("whole");
  EXPECT_EQ(stop("run", {}, 40, SIGINT).status, 128 + SIGINT);
  fs::create_directory(folder_ / "elsewhere");
  fs::copy(folder_ / "run", folder_ / "copy", fs::copy_options::recursive);
  fs::rename(folder_ / "run", folder_ / "elsewhere/moved");
  for (const char* name : {"copy", "elsewhere/moved"}) {
    resume_ok(name);
    expect_same(name, "whole");
  }
}

TEST_F(Resume, AChangedDataSetIsRefused) {
  const Arguments more = {"data.max_bad_fraction=0.05"};
  complete("whole", more);
  EXPECT_EQ(stop("run", more, 40, SIGINT).status, 128 + SIGINT);
  const std::string image = folder_ / "faces/images/train/7.jpg",
                    table = folder_ / "faces/train.csv";
  fs::rename(image, image + ".away");
  std::string what = complaint(resume("run"), 1);
  EXPECT_TRUE(what.starts_with("run: the data set has changed: trained on 96 faces (")) << what;
  EXPECT_TRUE(contains(what, "trained on 95 faces (")) << what;
  fs::rename(image + ".away", image);

  const std::string rows = read_text(table);
  for (const std::string name : {"train", "val"}) {
    const std::string file = "faces/" + name + ".csv", text = read_text(folder_ / file);
    folder_.write(file, text.substr(0, text.size() - 2) + "9\n");
    what = complaint(resume("run"), 1);
    EXPECT_TRUE(contains(what, "the data set has changed")) << name << ": " << what;
    folder_.write(file, text);
  }
  resume_ok("run");
  expect_same("run", "whole");
}

TEST_F(Resume, ACheckpointOfAnotherRunOrProgramIsRefused) {
  complete("run", {"train.epochs=1", "swa.start_epoch=1"});
  complete("other", {"train.epochs=1", "swa.start_epoch=1", "train.seed=2"});
  const std::string last = folder_ / "run/checkpoints/last.safetensors", more = "train.epochs=2";
  const Checkpoint own = read_checkpoint(last);
  const auto refusal = [&] { return complaint(resume("run", {more}), 1); };

  fs::copy_file(folder_ / "other/checkpoints/last.safetensors", last,
                fs::copy_options::overwrite_existing);
  const std::string foreign = refusal();
  EXPECT_TRUE(
      foreign.starts_with("run/checkpoints/last.safetensors: was written under another "
                          "configuration than the run's config.json: "))
      << foreign;
  EXPECT_TRUE(contains(foreign, "seed: 2 in the run, 1 now")) << foreign;
  fs::copy_file(folder_ / "run/checkpoints/best.safetensors", last,
                fs::copy_options::overwrite_existing);
  EXPECT_TRUE(contains(refusal(), "has no checksum; is it a checkpoint?"));

  const auto rewritten = [&](const auto& change) {
    Checkpoint checkpoint = own;
    change(checkpoint);
    write_checkpoint(last, folder_ / "run/prev", checkpoint);
    return refusal();
  };
  const std::string what = rewritten([](Checkpoint& c) {
    auto config = nlohmann::json::parse(c.metadata["config"]);
    config["versions"]["affuse"] = "9.8.7";
    config["loss"]["of_tomorrow"] = 1;
    c.metadata["config"] = config.dump();
  });
  EXPECT_TRUE(contains(what, "not a checkpoint that affuse ")) << what;
  EXPECT_TRUE(contains(what, "can resume (written by affuse 9.8.7): ")) << what;
  EXPECT_TRUE(contains(what, "loss.of_tomorrow: unknown key")) << what;
  EXPECT_TRUE(
      contains(rewritten([](Checkpoint& c) { c.metadata.clear(); }), "no training run wrote it"));
  EXPECT_TRUE(contains(rewritten([](Checkpoint& c) { c.metadata["state"] = "{}"; }), "'ranks'"));
  EXPECT_TRUE(contains(rewritten([](Checkpoint& c) { c.tensors.erase("conv1.weight"); }),
                       "no tensor conv1.weight"));
}

TEST_F(Resume, AnotherNumberOfThreadsIsSaid) {
  complete("run", {"train.epochs=1", "swa.start_epoch=1"});
  EXPECT_FALSE(contains(resume("run", {"train.epochs=2"}).err, "warning"));
  const Outcome outcome = resume("run", {"train.epochs=3", "train.threads=1"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "warning: hardware: ")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "will not end in the same bytes")) << outcome.err;
}

TEST_F(Resume, ARunInUseNamesItsProcess) {
  Program program(folder_.path(), train("run", {"train.epochs=400"}));
  EXPECT_TRUE(program.wait_until([&] { return last_row("run", "steps.csv") > 0; }));
  for (const Arguments& again : {Arguments{"train", "--resume", "run"},
                                 Arguments{"train", "c.json", "--out", "run", "--overwrite"}}) {
    const std::string what = complaint(affuse(folder_, again), 2);
    EXPECT_TRUE(what.starts_with("run: another affuse (process " +
                                 std::to_string(program.process()) + " on "))
        << what;
    EXPECT_TRUE(contains(what, "stop it with kill -INT")) << what;
  }
  program.signal(SIGINT);
  EXPECT_EQ(program.finish().status, 128 + SIGINT);
}

TEST_F(Resume, TheTimeLimitStopsWithACheckpoint) {
  complete("run", {"train.max_hours=1e-7"});
  EXPECT_EQ(state_of("run"), "stopped");
  EXPECT_EQ(CsvTable::read(folder_ / "run/steps.csv").rows(), 1u);
  EXPECT_TRUE(contains(read_text(folder_ / "run/run.log"), "train.max_hours is over"));
}

}  // namespace
}  // namespace affuse::test
