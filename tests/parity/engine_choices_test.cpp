// Recorded engine choices: lowering again with them takes the same, and what is not to be had is
// named.
#include <string>

#include "engine/error.h"
#include "gtest/gtest.h"
#include "layers/model.h"

namespace affuse {
namespace {

Model small_model(const EngineChoices* recorded, Precision precision = Precision::fp32) {
  NetworkSpec network;
  network.image_size = 64;
  network.width = 0.5;
  LowerSpec lower;
  lower.batch = 4;
  lower.precision = precision;
  return Model(make_cpu_backend(0), network, lower, Adam{0.9f, 0.999f, 1e-8f, 0, false}, recorded);
}

TEST(EngineChoices, NameEveryConvolutionOfEveryPlan) {
  Model model = small_model(nullptr);
  const EngineChoices choices = model.choices();
  // 20 forward and backward-weights steps, 19 backward-data steps in training, 20 forward steps in
  // statistics and evaluation each.
  EXPECT_EQ(choices.size(), 20u + 20u + 19u + 20u + 20u);
  EXPECT_TRUE(choices.contains("train/layer1.0.conv1 backward data"));
  EXPECT_TRUE(choices.contains("eval/layer4.0.downsample.0 folded"));
  for (const auto& [step, engine] : choices) EXPECT_FALSE(engine.empty()) << step;
}

TEST(EngineChoices, AreTakenAgainWhenRecorded) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const EngineChoices first = small_model(nullptr, precision).choices();
    EXPECT_EQ(small_model(&first, precision).choices(), first);
  }
}

TEST(EngineChoices, OverruleTheUsualChoice) {
  EngineChoices choices = small_model(nullptr).choices();
  const std::string step = "train/layer2.0.conv1 forward";
  ASSERT_NE(choices.at(step), "ref:any");
  choices[step] = "ref:any";
  EXPECT_EQ(small_model(&choices).choices(), choices);
}

TEST(EngineChoices, ThatDoNotExistHereAreNamedWithUnitAndShape) {
  EngineChoices choices = small_model(nullptr).choices();
  for (const char* step : {"train/layer2.0.conv1 forward", "train/layer2.0.conv1 backward data",
                           "train/layer2.0.conv1 backward weights", "eval/layer2.0.conv1 folded"}) {
    EngineChoices wrong = choices;
    wrong[step] = "jit:avx1024";
    try {
      small_model(&wrong);
      ADD_FAILURE() << step << ": nothing thrown";
    } catch (const DeviceError& e) {
      const std::string message = e.what();
      for (const char* part :
           {"layer2.0.conv1", "4x32x16x16 -> 64, 3x3 stride 2", "fp32", "jit:avx1024"})
        EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace affuse
