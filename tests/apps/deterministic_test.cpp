// train.deterministic: the seed decides, not the run.
#include "tests/apps/stopped_training.h"

namespace affuse::test {
namespace {

using Deterministic = StoppedTraining;

TEST_F(Deterministic, TwoRunsOfOneSeedEndInTheSameBytes) {
  for (const std::string precision : {"fp32", "bf16"}) {
    const std::string one = precision + "_one", two = precision + "_two";
    for (const std::string& run : {one, two})
      complete(run, {"train.deterministic=true", "train.precision=" + precision});
    expect_same(two, one);
  }
}

TEST_F(Deterministic, WhateverTheWorkers) {
  const Arguments same = {"train.deterministic=true", "train.epochs=3"};
  complete("one", {same[0], same[1], "data.workers=1", "data.prefetch=1"});
  complete("many", {same[0], same[1], "data.workers=5", "data.prefetch=7"});
  for (const char* name : {"checkpoints/best.safetensors", "checkpoints/swa.safetensors",
                           "predictions.csv", "labels.json"})
    EXPECT_TRUE(text_of("many", name) == text_of("one", name)) << name;
  for (const std::string name : {"/metrics.csv", "/steps.csv"})
    EXPECT_EQ(timeless(folder_ / "many" + name), timeless(folder_ / "one" + name));
  const std::string last = "/checkpoints/last.safetensors";  // holds the configuration
  EXPECT_EQ(read_checkpoint(folder_ / "many" + last).tensors,
            read_checkpoint(folder_ / "one" + last).tensors);
  EXPECT_EQ(counters_of("many"), counters_of("one"));
}

TEST_F(Deterministic, AnotherSeedIsAnotherRun) {
  complete("one", {"train.epochs=1", "swa.start_epoch=1"});
  complete("two", {"train.epochs=1", "swa.start_epoch=1", "train.seed=2"});
  EXPECT_NE(text_of("two", "predictions.csv"), text_of("one", "predictions.csv"));
}

}  // namespace
}  // namespace affuse::test
