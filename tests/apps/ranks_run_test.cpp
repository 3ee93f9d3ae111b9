// Several processes at one training: they end together, resume together, and refuse what does not
// fit.
#include <nlohmann/json.hpp>

#include "tests/apps/run_ranks.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

class RanksRun : public testing::Test {
 protected:
  void SetUp() override { prepare_ranks(folder_); }

  static Arguments train(const std::string& out, const Arguments& more = {}) {
    Arguments all = {"train", "c.json", "train.threads=1", "--out", out, "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static Arguments resume(const std::string& run) { return {"train", "--resume", run, "--quiet"}; }

  /// Waits until a run has logged a step.
  void wait_for(Program& program, const std::string& run, int step) {
    const std::string file = folder_ / run + "/steps.csv", row = "\n" + std::to_string(step) + ",";
    EXPECT_TRUE(
        program.wait_until([&] { return fs::exists(file) && contains(read_text(file), row); }));
  }
  nlohmann::json status_of(const std::string& run) const {
    return nlohmann::json::parse(read_text(folder_ / run + "/status.json"));
  }
  static void expect_all(const std::vector<Outcome>& outcomes, int status) {
    for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.status, status) << outcome.err;
  }
  void expect_same(const std::string& run, const std::string& reference) const {
    expect_same_files(folder_, run, reference,
                      {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                       "checkpoints/swa.safetensors", "predictions.csv", "labels.json",
                       "config.json", "skipped.csv"});
  }

  const Folder folder_;
};

TEST_F(RanksRun, OneThatIsKilledEndsTheOtherWithALine) {
  RanksByHand ranks(folder_.path(), train("run", {"train.epochs=500"}));
  wait_for(ranks[0], "run", 20);
  const pid_t process = ranks[1].process();
  const auto begin = std::chrono::steady_clock::now();
  ranks[1].signal(SIGKILL);
  const std::vector<Outcome> outcomes = ranks.finish();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(outcomes[1].status, 128 + SIGKILL);
  const std::string line = complaint(outcomes[0], 1);
  EXPECT_TRUE(line.starts_with("rank 1 (")) << line;
  EXPECT_TRUE(contains(line, ", process " + std::to_string(process) + ") ended; this rank stops"))
      << line;
  EXPECT_TRUE(line.ends_with("The last checkpoint is run/checkpoints/last.safetensors")) << line;
  EXPECT_EQ(status_of("run")["state"], "failed");
  EXPECT_TRUE(contains(status_of("run")["reason"], "rank 1 ("));
}

TEST_F(RanksRun, TheFirstThatIsKilledEndsTheOthers) {
  RanksByHand ranks(folder_.path(), train("run", {"train.epochs=500", "train.batch_size=12"}), 3);
  wait_for(ranks[0], "run", 2);
  ranks[0].signal(SIGKILL);
  const std::vector<Outcome> outcomes = ranks.finish();
  for (const int r : {1, 2})
    EXPECT_TRUE(complaint(outcomes[static_cast<std::size_t>(r)], 1).starts_with("rank 0 ("));
}

TEST_F(RanksRun, OneThatHangsCountsAsLost) {
  RanksByHand ranks(folder_.path(), train("run", {"train.epochs=500"}), 2, "2");
  wait_for(ranks[0], "run", 2);
  ranks[1].signal(SIGSTOP);
  const std::string line = complaint(ranks[0].finish(), 1);
  EXPECT_TRUE(contains(line, "gives no sign of life")) << line;
  ranks[1].signal(SIGKILL);
}

TEST_F(RanksRun, ASignalToAnyStopsAllAtTheSameStepAndTheyResumeToTheSameBytes) {
  const Arguments more = {"train.epochs=12", "swa.enabled=true", "swa.start_epoch=2"};
  expect_all(RanksByHand(folder_.path(), train("whole", more)).finish(), 0);
  RanksByHand ranks(folder_.path(), train("run", more));
  wait_for(ranks[0], "run", 10);
  ranks[1].signal(SIGINT);
  const std::vector<Outcome> stopped = ranks.finish();
  expect_all(stopped, 128 + SIGINT);
  EXPECT_EQ(stopped[1].err, "");
  EXPECT_EQ(status_of("run")["state"], "stopped");

  const Outcome alone = affuse(folder_, resume("run"));
  EXPECT_TRUE(contains(complaint(alone, 2),
                       "was trained by 2 processes and can be resumed only "
                       "by as many, not by 1 process"));
  const std::vector<Outcome> four = RanksByHand(folder_.path(), resume("run"), 4).finish();
  EXPECT_TRUE(contains(complaint(four[0], 2), "not by 4 processes"));

  const std::vector<Outcome> resumed = RanksByHand(folder_.path(), resume("run")).finish();
  expect_all(resumed, 0);
  EXPECT_NE(resumed[0].out, "");
  EXPECT_EQ(resumed[1].out, "");
  expect_same("run", "whole");
}

TEST_F(RanksRun, MixupMixesWithinEachRankAndEndsInTheSameBytesAgain) {
  const Arguments more = {"augment.mixup=0.4"};
  for (const char* run : {"first", "second"})
    expect_all(RanksByHand(folder_.path(), train(run, more)).finish(), 0);
  for (const char* name : {"checkpoints/last.safetensors", "predictions.csv"})
    EXPECT_TRUE(read_text(folder_ / "first/" + name) == read_text(folder_ / "second/" + name));
  const std::vector<Outcome> alone =
      RanksByHand(folder_.path(), train("alone", {more[0], "train.batch_size=2"})).finish();
  EXPECT_TRUE(contains(complaint(alone[0], 2), "gives each of 2 processes one face; raise it to 4"))
      << alone[0].err;
}

TEST_F(RanksRun, PatienceAndTheClockStopAllTogether) {
  expect_all(RanksByHand(folder_.path(), train("patient", {"train.epochs=40", "train.patience=1",
                                                           "optimizer.lr=0.05"}))
                 .finish(),
             0);
  EXPECT_TRUE(contains(status_of("patient")["reason"], "train.patience"));
  expect_all(
      RanksByHand(folder_.path(), train("late", {"train.epochs=1000", "train.max_hours=0.0003"}))
          .finish(),
      0);
  EXPECT_TRUE(contains(status_of("late")["reason"], "train.max_hours"));
}

TEST_F(RanksRun, WhatDoesNotFitIsRefused) {
  const std::vector<Outcome> odd =
      RanksByHand(folder_.path(), train("odd", {"train.batch_size=15"})).finish();
  EXPECT_TRUE(contains(complaint(odd[0], 2), "15 cannot be shared evenly by 2 processes"));
  const Launch half{{}, {{"RANK", "0"}}};
  const Outcome one = Program(folder_.path(), train("half"), "", half).finish();
  EXPECT_TRUE(contains(complaint(one, 2), "WORLD_SIZE is not"));
  EXPECT_FALSE(fs::exists(folder_ / "half"));
}

TEST_F(RanksRun, ALossThatIsNotFiniteEndsOrSkipsOnAll) {
  const Arguments linear = {"model.va_activation=none", "train.epochs=1"};
  expect_all(RanksByHand(folder_.path(), train("first", linear)).finish(), 0);
  Weights weights = read_weights(folder_ / "first/checkpoints/best.safetensors");
  for (float& w : weights.tensors.at("fc_va.weight").values) w = 1e30f;
  write_weights(folder_ / "wild.safetensors", weights);
  const Arguments wild = {linear[0], linear[1], "model.init=wild.safetensors"};
  for (const Outcome& outcome : RanksByHand(folder_.path(), train("stop", wild)).finish())
    EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_EQ(status_of("stop")["state"], "failed");
  Arguments skipping = wild;
  skipping.push_back("train.on_nonfinite=skip");
  const std::vector<Outcome> skipped =
      RanksByHand(folder_.path(), train("skip", skipping)).finish();
  expect_all(skipped, 0);
  EXPECT_TRUE(contains(skipped[0].err, "skipped (7 so far)")) << skipped[0].err;
}

}  // namespace
}  // namespace affuse::test
