// Training on bad images and on losses that are not finite.
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/apps/run_affuse.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

std::string state_of(const Folder& folder) {
  return nlohmann::json::parse(read_text(folder / "run/status.json"))["state"];
}

/// fc_va's weights so large that the square of what it predicts is infinite.
void poison(StateDict& tensors) {
  for (float& w : tensors.at("fc_va.weight").values) w = 1e30f;
}

TEST(TrainFailures, BadImagesAreNamedAndLeftOut) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  folder.write("faces/images/train/5.jpg", "no image at all");
  fs::resize_file(folder / "faces/images/train/17.jpg", 400);
  fs::remove(folder / "faces/images/val/3.jpg");
  const Outcome run = affuse(
      folder, {"train", "c.json", "--out", "run", "train.epochs=1", "data.max_bad_fraction=0.03"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "warning: 2 of 96 images are bad and left out")) << run.err;
  const CsvTable skipped = CsvTable::read(folder / "run/skipped.csv");
  EXPECT_EQ(skipped.header(), (Arguments{"path", "reason"}));
  ASSERT_EQ(skipped.rows(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(skipped.text(i, 0),
              (Arguments{"images/train/5.jpg", "images/train/17.jpg", "images/val/3.jpg"})[i]);
    EXPECT_GT(skipped.text(i, 1).size(), 10u) << "a reason";
  }
  EXPECT_EQ(CsvTable::read(folder / "run/predictions.csv").rows(), 47u);
}

TEST(TrainFailures, TooManyBadImagesStopTheRun) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  for (const char* name : {"9", "10", "11", "12"})
    folder.write("faces/images/train/" + std::string(name) + ".jpg", "");
  const Arguments arguments = {"train", "c.json", "--out", "run", "train.epochs=1"};
  const std::string what = complaint(affuse(folder, arguments), 1);
  EXPECT_TRUE(contains(what, "4 of 96 images are bad")) << what;
  for (const char* name :
       {"images/train/9.jpg (", "images/train/10.jpg (", "images/train/11.jpg ("})
    EXPECT_TRUE(contains(what, name)) << what;
  EXPECT_FALSE(contains(what, "12.jpg")) << "the first three: " << what;
  EXPECT_FALSE(fs::exists(folder / "run/config.json")) << "the run never began";
  affuse_ok(folder,
            {"train", "c.json", "--out", "run", "train.epochs=1", "data.max_bad_fraction=0.05"});
}

/// A data set, its configuration and poisoned.safetensors, weights to start from with which no loss
/// is finite; returns them.
Weights prepare_poisoned(const Folder& folder) {
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  affuse_ok(folder,
            {"train", "c.json", "--out", "first", "model.va_activation=none", "train.epochs=1"});
  Weights weights = read_weights(folder / "first/checkpoints/best.safetensors");
  poison(weights.tensors);
  write_weights(folder / "poisoned.safetensors", weights);
  return weights;
}

TEST(TrainFailures, NonFiniteLossStopsBeforeTheFirstCheckpoint) {
  const Folder folder;
  const Weights weights = prepare_poisoned(folder);
  const Arguments base = {"train", "c.json", "model.va_activation=none", "train.epochs=1", "--out"};
  const auto with = [&](Arguments more) {
    more.insert(more.begin(), base.begin(), base.end());
    return more;
  };
  const Outcome run = affuse(folder, with({"run", "model.init=poisoned.safetensors"}));
  const std::string what = complaint(run, 1);
  EXPECT_TRUE(what.starts_with("step 1: the loss is not finite")) << what;
  EXPECT_TRUE(contains(what, "batch of 16 with images/train/")) << what;
  EXPECT_TRUE(contains(what, "there is no checkpoint yet")) << what;
  EXPECT_EQ(state_of(folder), "failed");
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/last.safetensors"));

  const Outcome skipping = affuse(folder, with({"skip", "model.init=poisoned.safetensors",
                                                "train.on_nonfinite=skip", "train.epochs=2"}));
  EXPECT_EQ(skipping.status, 0) << skipping.err;
  EXPECT_TRUE(contains(skipping.err, "step 12: the loss is not finite; skipped (12 so far)"));
  const Checkpoint last = read_checkpoint(folder / "skip/checkpoints/last.safetensors");
  for (const auto& [name, tensor] : weights.tensors) {
    if (contains(name, "running") || tensor.is_integer) continue;
    EXPECT_EQ(last.tensors.at(name), tensor) << name << ": a skipped step changes nothing";
  }
}

TEST(TrainFailures, AResumedRunGoesOnCountingWhatItSkips) {
  const Folder folder;
  prepare_poisoned(folder);
  Program program(folder.path(), {"train", "c.json", "--out", "run", "model.va_activation=none",
                                  "model.init=poisoned.safetensors", "train.on_nonfinite=skip",
                                  "train.batch_size=4"});
  EXPECT_TRUE(program.wait_until([&] {
    return fs::exists(folder / "run/steps.csv") &&
           contains(read_text(folder / "run/steps.csv"), "\n9,");
  }));
  program.signal(SIGTERM);
  const Outcome stopped = program.finish();
  EXPECT_EQ(stopped.status, 128 + SIGTERM);
  EXPECT_FALSE(contains(stopped.err, "skipped (48 so far)"));
  const Outcome resumed = affuse(folder, {"train", "--resume", "run"});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_FALSE(contains(resumed.err, "skipped (9 so far)"));
  EXPECT_TRUE(contains(resumed.err, "step 48: the loss is not finite; skipped (48 so far)"));
}

TEST(TrainFailures, NonFiniteLossNamesTheLastGoodCheckpoint) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  affuse_ok(folder,
            {"train", "c.json", "--out", "run", "model.va_activation=none", "train.epochs=1"});
  const std::string last = folder / "run/checkpoints/last.safetensors";
  Checkpoint checkpoint = read_checkpoint(last);
  poison(checkpoint.tensors);
  write_checkpoint(last, folder / "run/checkpoints/prev.safetensors", checkpoint);
  const std::string bytes = read_text(last);
  const std::string what =
      complaint(affuse(folder, {"train", "--resume", "run", "train.epochs=3"}), 1);
  EXPECT_TRUE(what.starts_with("step 7: the loss is not finite")) << what;
  EXPECT_TRUE(contains(what, "the last good checkpoint is run/checkpoints/last.safetensors"));
  EXPECT_EQ(read_text(last), bytes) << "it is not written over";
  EXPECT_EQ(state_of(folder), "failed");
}

TEST(TrainFailures, CtrlCBeforeTrainingLeavesTheFolderFree) {
  const Folder folder;
  write_config(folder, "synthetic");
  Program drawing(folder.path(), {"train", "c.json", "--out", "run", "train.epochs=1",
                                  "data.synthetic.train=200000", "data.synthetic.size=128"});
  EXPECT_TRUE(drawing.wait_until([&] { return fs::exists(folder / "faces.tmp"); }));
  drawing.signal(SIGINT);
  EXPECT_EQ(drawing.finish().status, 128 + SIGINT);
  EXPECT_FALSE(fs::exists(folder / "faces"));
  affuse_ok(folder, {"train", "c.json", "--out", "run", "train.epochs=1"});
  EXPECT_EQ(CsvTable::read(folder / "run/steps.csv").rows(), 6u);
}

}  // namespace
}  // namespace affuse::test
