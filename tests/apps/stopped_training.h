// A training that tests stop and resume, where it stands, and what must be the same in the end.
#pragma once
#include <nlohmann/json.hpp>

#include "tests/apps/run_affuse.h"
#include "weights/checkpoint.h"

namespace affuse::test {

/// A table without the columns that a clock wrote.
inline std::string timeless(const std::string& file) {
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
class StoppedTraining : public testing::Test {
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
  Outcome resume(const std::string& run, Arguments more = {}) {
    more.insert(more.begin(), {"train", "--resume", run});
    return affuse(folder_, more);
  }
  void resume_ok(const std::string& run, const Arguments& more = {}) {
    const Outcome outcome = resume(run, more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }

  bool has(const std::string& run, const std::string& name) const {
    return std::filesystem::exists(folder_ / run + "/" + name);
  }
  std::string text_of(const std::string& run, const std::string& name) const {
    return has(run, name) ? read_text(folder_ / run + "/" + name) : std::string();
  }
  std::string steps_of(const std::string& run) const { return text_of(run, "steps.csv"); }
  /// The first column of a table's last row; 0: no rows.
  int last_row(const std::string& run, const std::string& table) const {
    const std::string text = text_of(run, table);
    if (text.size() < 2) return 0;
    const std::size_t begin = text.rfind('\n', text.size() - 2);
    return begin == std::string::npos ? 0 : std::atoi(text.c_str() + begin + 1);
  }
  std::string state_of(const std::string& run) const {
    return nlohmann::json::parse(text_of(run, "status.json"))["state"];
  }
  /// The counters of the last checkpoint.
  nlohmann::json counters_of(const std::string& run) const {
    const Checkpoint last = read_checkpoint(folder_ / run + "/checkpoints/last.safetensors");
    return nlohmann::json::parse(last.metadata.at("state"));
  }

  void expect_same(const std::string& run, const std::string& reference) const {
    for (const char* name : {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                             "checkpoints/swa.safetensors", "predictions.csv", "labels.json",
                             "status.json", "config.json", "skipped.csv"})
      EXPECT_TRUE(text_of(run, name) == text_of(reference, name)) << run << "/" << name;
    for (const char* name : {"metrics.csv", "steps.csv"})
      EXPECT_EQ(timeless(folder_ / run + "/" + name), timeless(folder_ / reference + "/" + name))
          << run;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / run))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }

  const Folder folder_;
};

/// Where the process of a training is. `pass`: over the data behind an epoch's steps, in epochs
/// that both validate and average.
enum class Phase { startup, training, swa, validation, pass, checkpoint, predictions, count };
inline constexpr const char* kPhases[] = {
    "startup",    "training",   "SWA pass", "validation", "SWA pass or validation",
    "checkpoint", "predictions"};

/// Shorter epochs and longer passes: 12 batches an epoch, 6 epochs, epochs 2, 4 and 6 validate 240
/// faces, 3 to 6 average.
class LocatedTraining : public StoppedTraining {
 protected:
  static constexpr int kSteps = 12, kEpochs = 6, kSwaStart = 3, kValEvery = 2;

  void SetUp() override {
    affuse_ok(folder_, {"synth", "--out", "faces", "--train", "96", "--val", "240", "--size", "32",
                        "--layout", "csv", "--quiet"});
    write_config(folder_, "csv");
  }
  static Arguments train(const std::string& out, const Arguments& more = {}) {
    Arguments all = {"train.epochs=6", "train.batch_size=8", "train.val_every=2"};
    all.insert(all.end(), more.begin(), more.end());
    return StoppedTraining::train(out, all);
  }
  void complete(const std::string& out, const Arguments& more = {}) {
    affuse_ok(folder_, train(out, more));
  }

  /// The inode of steps.csv, which a process writes anew when it begins to train.
  ino_t mark(const std::string& run) const {
    struct stat info {};
    return ::stat((folder_ / run + "/steps.csv").c_str(), &info) == 0 ? info.st_ino : 0;
  }
  /// For a halted process that was started when mark() was `before`.
  Phase phase_of(const std::string& run, ino_t before) const {
    if (mark(run) == before) return Phase::startup;
    for (const char* name : {"best", "swa", "last"})
      if (has(run, std::string("checkpoints/") + name + ".safetensors.tmp"))
        return Phase::checkpoint;
    const int step = last_row(run, "steps.csv"), ended = last_row(run, "metrics.csv");
    if (ended == kEpochs) return Phase::predictions;
    if (step != (ended + 1) * kSteps) return Phase::training;
    const bool validates = (ended + 1) % kValEvery == 0, averages = ended + 1 >= kSwaStart;
    if (validates && averages) return Phase::pass;
    return validates ? Phase::validation : averages ? Phase::swa : Phase::training;
  }

  /// Halts the program again and again until it is at `phase`, twice in a row where that lasts, so
  /// that it is not at its very beginning. It stays halted; false where it ended first.
  bool halt_in(Program& program, const std::string& run, ino_t before, Phase phase) const {
    const int enough = phase == Phase::checkpoint ? 1 : 2;
    int seen = 0;
    return program.wait_until([&] {
      if (!program.halt()) return false;
      seen = phase_of(run, before) == phase ? seen + 1 : 0;
      if (seen < enough) program.signal(SIGCONT);
      return seen == enough;
    });
  }
};

}  // namespace affuse::test
