// What the sections noise, label_model, fusion, loss and optimizer of a configuration become.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"
#include "apps/trainer/dataset.h"
#include "apps/trainer/setup.h"
#include "engine/philox.h"

namespace affuse {
namespace {

constexpr std::size_t kClasses = 3;

Config with(const std::vector<std::string>& overrides) {
  return parse_config(
      R"({"data": {"kind": "csv", "train": "t", "val": "v", "classes": ["a", "b", "c"]}})",
      "test.json", overrides);
}

/// 90, 60 and 30 samples of three clouds; every tenth without valence and arousal.
Manifest manifest() {
  Manifest m;
  m.classes = {"a", "b", "c"};
  Philox random(3, Purpose::test);
  for (int i = 0; i < 180; ++i) {
    Sample s;
    s.label = i < 90 ? 0 : i < 150 ? 1 : 2;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    s.valence = i % 10 == 0 ? nan : 0.5 * s.label - 0.5 + 0.2 * random.normal();
    s.arousal = i % 10 == 0 ? nan : 0.2 * random.normal();
    m.samples.push_back(s);
  }
  return m;
}

std::vector<float> weights(const math::LossSettings& s) {
  return {s.class_weight, s.class_weight + s.classes};
}

TEST(TrainingLabelsConfig, LossKeysArrive) {
  const auto loss = prepare_labels(with({"loss.ce=1.5", "loss.cs=0", "loss.l2=2.25",
                                         "loss.weighted_l2=false", "loss.focal_gamma=0.75"}),
                                   manifest())
                        .loss;
  EXPECT_EQ(loss.coef_ce, 1.5f);
  EXPECT_EQ(loss.coef_cs, 0.f);
  EXPECT_EQ(loss.coef_l2, 2.25f);
  EXPECT_FALSE(loss.weighted_l2);
  EXPECT_EQ(loss.focal_gamma, 0.75f);
  EXPECT_EQ(loss.classes, 3);
  const auto defaults = prepare_labels(with({}), manifest()).loss;
  EXPECT_EQ(defaults.coef_ce, 1.f);
  EXPECT_TRUE(defaults.weighted_l2);
  EXPECT_EQ(defaults.focal_gamma, 0.f);
}

TEST(TrainingLabelsConfig, FusionAndSmoothingArrive) {
  const auto target =
      prepare_labels(with({"fusion.alpha=0.25", "loss.label_smoothing=0.125"}), manifest()).target;
  EXPECT_EQ(target.alpha, 0.25f);
  EXPECT_EQ(target.smoothing, 0.125f);
  EXPECT_EQ(prepare_labels(with({}), manifest()).target.smoothing, 0.f);
}

TEST(TrainingLabelsConfig, EveryClassWeightMode) {
  using enum math::ClassWeightMode;
  const auto loss = [](const std::string& mode) {
    return prepare_labels(with({"loss.class_weights=" + mode}), manifest()).loss;
  };
  EXPECT_EQ(loss("sample").mode, sample);
  EXPECT_EQ(loss("per_class").mode, per_class);
  EXPECT_EQ(loss("soft").mode, soft);
  EXPECT_EQ(loss("none").mode, none);
  for (const char* mode : {"sample", "per_class"})
    EXPECT_EQ(weights(loss(mode)), (std::vector<float>{1, 1.5f, 3}));
}

// N_k sums the labels that the device trains on: fused, then smoothed.
TEST(TrainingLabelsConfig, SoftWeightsCountTheLabelsAsTrainedOn) {
  const Manifest train = manifest();
  for (const char* smoothing : {"0", "0.3"}) {
    const TrainingLabels labels = prepare_labels(
        with({"loss.class_weights=soft", std::string("loss.label_smoothing=") + smoothing}), train);
    std::vector<double> n(kClasses, 0.0);
    for (const Sample& s : train.samples) {
      float q[kClasses];
      math::training_target(
          labels.target,
          math::Annotation<float>{s.label, std::isfinite(s.valence), static_cast<float>(s.valence),
                                  static_cast<float>(s.arousal), nullptr},
          q);
      for (std::size_t k = 0; k < kClasses; ++k) n[k] += double{q[k]};
    }
    for (std::size_t k = 0; k < kClasses; ++k)
      EXPECT_NEAR(labels.loss.class_weight[k], *std::max_element(n.begin(), n.end()) / n[k], 1e-5);
  }
}

TEST(TrainingLabelsConfig, StatisticsSeeTheFlippedOrTheCleanLabels) {
  const Manifest train = manifest();
  const Annotations before = annotations_of(train);
  for (const char* statistics : {"noisy", "clean"}) {
    const TrainingLabels got = prepare_labels(
        with({"noise.rate=0.4", std::string("noise.statistics=") + statistics}), train);
    EXPECT_NE(got.noisy, before.labels) << "the labels that are trained on are flipped either way";
    Annotations seen = before;
    if (std::string(statistics) == "noisy") seen.labels = got.noisy;
    const auto counts = count_classes(seen.labels, 3);
    const LabelModel want = fit_label_model(seen, 3, {});
    EXPECT_EQ(got.model.counts, counts) << statistics;
    const std::vector<double> w = class_weights(counts);
    EXPECT_EQ(weights(got.loss), std::vector<float>(w.begin(), w.end()));
    for (std::size_t k = 0; k < kClasses; ++k) {
      EXPECT_EQ(got.model.pi[k], want.pi[k]);
      EXPECT_EQ(got.model.mu[k].v, want.mu[k].v);
      EXPECT_EQ(got.model.sigma[k].aa, want.sigma[k].aa);
    }
  }
}

TEST(TrainingLabelsConfig, EveryNoiseModeIsItsOwn) {
  const Manifest train = manifest();
  std::vector<std::vector<int>> flipped;
  for (const char* mode : {"exact_other", "bernoulli_other", "author"})
    flipped.push_back(
        prepare_labels(with({"noise.rate=0.3", std::string("noise.mode=") + mode, "noise.seed=4"}),
                       train)
            .noisy);
  EXPECT_NE(flipped[0], flipped[1]);
  EXPECT_NE(flipped[0], flipped[2]);
  EXPECT_NE(flipped[1], flipped[2]);
}

TEST(TrainingLabelsConfig, OptimizerKeysArrive) {
  const Adam adam =
      adam_of(with({"optimizer.beta1=0.8", "optimizer.beta2=0.75", "optimizer.eps=0.5",
                    "optimizer.weight_decay=0.25", "optimizer.decoupled=true"})
                  .optimizer);
  EXPECT_EQ(adam.beta1, 0.8f);
  EXPECT_EQ(adam.beta2, 0.75f);
  EXPECT_EQ(adam.eps, 0.5f);
  EXPECT_EQ(adam.weight_decay, 0.25f);
  EXPECT_TRUE(adam.decoupled);
  EXPECT_FALSE(adam_of(with({}).optimizer).decoupled);
}

}  // namespace
}  // namespace affuse
