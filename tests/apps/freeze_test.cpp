// train.freeze_epochs as a user meets it: what trains and what does not, messages, resume, ranks.
#include <nlohmann/json.hpp>

#include "tests/apps/run_ranks.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

class Freeze : public testing::Test {
 protected:
  void SetUp() override {
    prepare_ranks(folder_);  // 7 batches an epoch
    affuse_ok(folder_, {"train", "c.json", "train.epochs=1", "--out", "start", "--quiet"});
  }

  static Arguments train(const std::string& out, const Arguments& more) {
    Arguments all = {"train", "c.json", "model.init=start/checkpoints/best.safetensors", "--out",
                     out};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome train_ok(const std::string& out, const Arguments& more) {
    const Outcome outcome = affuse(folder_, train(out, more));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome;
  }
  StateDict weights(const std::string& run, const std::string& name) const {
    return read_weights(folder_ / run + "/checkpoints/" + name + ".safetensors").tensors;
  }
  /// Whether exactly the heads (or, `all`, everything) of a run differ from its start.
  void expect_trained(const std::string& run, bool all) const {
    const StateDict start = weights("start", "best"), end = weights(run, "last");
    for (const auto& [name, tensor] : start) {
      if (tensor.is_integer) continue;
      EXPECT_EQ(end.at(name) != tensor, all || name.starts_with("fc_")) << name;
    }
  }
  void expect_same(const std::string& run, const std::string& reference) const {
    expect_same_files(folder_, run, reference,
                      {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                       "predictions.csv", "status.json"});
  }

  const Folder folder_;
};

TEST_F(Freeze, AllEpochsFrozenTrainTheHeadsAlone) {
  for (const char* precision : {"fp32", "bf16"}) {
    const Outcome run = train_ok(precision, {"train.epochs=2", "train.freeze_epochs=5",
                                             std::string("train.precision=") + precision});
    EXPECT_TRUE(contains(run.err, "epochs 1-2: backbone frozen")) << run.err;
    EXPECT_FALSE(contains(run.err, "backbone trains") || contains(run.err, "random network"));
    expect_trained(precision, false);
    EXPECT_EQ(weights(precision, "best").at("bn1.num_batches_tracked").integers.front(), 0);
  }
}

TEST_F(Freeze, TheBackboneTrainsBehindTheFrozenEpochs) {
  const Outcome run = train_ok("run", {"train.epochs=2", "train.freeze_epochs=1", "output.keep=2"});
  EXPECT_TRUE(contains(run.err, "epoch 1: backbone frozen")) << run.err;
  EXPECT_TRUE(contains(run.err, "epoch 2: backbone trains")) << run.err;
  expect_trained("run", true);
  EXPECT_EQ(weights("run", "epoch_002").at("bn1.num_batches_tracked").integers.front(), 7);
}

// Adam's first step is lr wherever the gradient is not 0. With fresh moments and the bias
// correction of a seventh step it would be half of that; with the heads' old moments many times as
// much.
TEST_F(Freeze, AdamBeginsAnewBehindThem) {
  const Arguments rate = {"train.limit_batches=1", "schedule.kind=constant", "optimizer.lr=1e-4",
                          "train.freeze_epochs=6"};
  Arguments more = rate;
  more.push_back("train.epochs=7");
  train_ok("run", more);
  const StateDict frozen = weights("run", "prev"), end = weights("run", "last");
  for (const char* name :
       {"fc_class.weight", "conv1.weight", "layer4.1.conv2.weight", "bn1.bias"}) {
    const auto& a = frozen.at(name).values;
    const auto& b = end.at(name).values;
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
    EXPECT_NEAR(largest, 1e-4, 2e-6) << name;
  }
}

TEST_F(Freeze, ARandomBackboneIsWarnedOf) {
  const Outcome run = affuse(
      folder_, {"train", "c.json", "train.epochs=1", "train.freeze_epochs=1", "--out", "random"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "warning: train.freeze_epochs without model.init")) << run.err;
}

TEST_F(Freeze, FrozenWeightsAreNotAveraged) {
  const Arguments swa = {"train.epochs=4", "swa.enabled=true", "train.freeze_epochs=3"};
  for (const char* start : {"swa.start_epoch=3", "swa.start_epoch=1"}) {
    Arguments more = swa;
    more.push_back(start);
    EXPECT_TRUE(contains(complaint(affuse(folder_, train("swa", more)), 2),
                         "is among the 3 frozen epochs"));
  }
  train_ok("swa", swa);  // auto: the fourth
}

TEST_F(Freeze, PatienceBeginsWithTheBackbone) {
  train_ok("run",
           {"train.epochs=9", "train.freeze_epochs=3", "train.patience=1", "optimizer.lr=1e-30"});
  const std::size_t epochs = CsvTable::read(folder_ / "run/metrics.csv").rows();
  EXPECT_GE(epochs, 4u);
  EXPECT_LT(epochs, 9u);
  train_ok("heads",
           {"train.epochs=9", "train.freeze_epochs=9", "train.patience=1", "optimizer.lr=1e-30"});
  EXPECT_EQ(CsvTable::read(folder_ / "heads/metrics.csv").rows(), 2u);
}

TEST_F(Freeze, AResumedRunFreezesAsManyEpochs) {
  train_ok("whole", {"train.epochs=3", "train.freeze_epochs=1", "swa.start_epoch=1"});
  // Ends right at the border.
  train_ok("run", {"train.epochs=1", "train.freeze_epochs=1", "swa.start_epoch=1"});
  const Arguments resume = {"train", "--resume", "run", "train.epochs=3"};
  Arguments other = resume;
  other.push_back("train.freeze_epochs=2");
  EXPECT_TRUE(
      contains(complaint(affuse(folder_, other), 2), "train.freeze_epochs: 1 in the run, 2 now"));
  const Outcome resumed = affuse(folder_, resume);
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_TRUE(contains(resumed.err, "epoch 2: backbone trains")) << resumed.err;
  expect_same("run", "whole");
}

TEST_F(Freeze, ACheckpointFromBeforeThereWereFrozenEpochsGoesOn) {
  train_ok("whole", {"train.epochs=2", "swa.start_epoch=1"});
  train_ok("run", {"train.epochs=1", "swa.start_epoch=1"});
  const std::string last = folder_ / "run/checkpoints/last.safetensors";
  Checkpoint old = read_checkpoint(last);
  auto state = nlohmann::json::parse(old.metadata.at("state"));
  EXPECT_EQ(state.erase("frozen_updates"), 1u);
  old.metadata["state"] = state.dump();
  write_checkpoint(last, folder_ / "run/checkpoints/prev.safetensors", old);
  affuse_ok(folder_, {"train", "--resume", "run", "train.epochs=2"});
  expect_same("run", "whole");
}

TEST_F(Freeze, InfoAndADryRunShowTheHeadsStep) {
  const Arguments info = {"info", "c.json", "train.device=cpu"};
  Arguments frozen = info;
  frozen.push_back("train.freeze_epochs=1");
  EXPECT_FALSE(contains(affuse_ok(folder_, info), "      heads "));
  const std::string text = affuse_ok(folder_, frozen);
  EXPECT_TRUE(contains(text, "      heads ")) << text;
  EXPECT_LT(text.find("fc_va.backward"), text.find("backward data")) << "the heads' program first";
  const std::string dry =
      affuse_ok(folder_, {"train", "c.json", "--dry-run", "--quiet", "train.freeze_epochs=1"});
  for (const char* line : {"\nheads 1 ", "\nheads 2 ", "\nstep 1 ", "\nstep 2 "})
    EXPECT_TRUE(contains(dry, line)) << dry;
}

TEST_F(Freeze, TwoRanksStopAmongFrozenEpochsAndResumeToTheSameBytes) {
  const Arguments more = {"train.threads=1", "train.epochs=4", "train.freeze_epochs=3", "--quiet"};
  const auto expect_ok = [](const std::vector<Outcome>& all) {
    for (const Outcome& outcome : all) EXPECT_EQ(outcome.status, 0) << outcome.err;
  };
  expect_ok(RanksByHand(folder_.path(), train("whole", more)).finish());
  RanksByHand ranks(folder_.path(), train("run", more));
  const std::string steps = folder_ / "run/steps.csv";
  EXPECT_TRUE(ranks[0].wait_until(
      [&] { return std::filesystem::exists(steps) && contains(read_text(steps), "\n9,"); }));
  ranks[1].signal(SIGINT);
  for (const Outcome& outcome : ranks.finish()) EXPECT_EQ(outcome.status, 128 + SIGINT);
  expect_ok(RanksByHand(folder_.path(), {"train", "--resume", "run", "--quiet"}).finish());
  expect_same("run", "whole");
  expect_ok(RanksByHand(folder_.path(), train("heads", {"train.threads=1", "train.epochs=1",
                                                        "train.freeze_epochs=1", "--quiet"}))
                .finish());
  expect_trained("heads", false);
}

}  // namespace
}  // namespace affuse::test
