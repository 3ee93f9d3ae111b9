// The device's targets are the label model's: training_target in float against soft_labels.
#include "data/target_model.h"

#include <limits>

#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

constexpr int kClasses = 4;

Annotations annotations(std::size_t n) {
  Philox random(5, Purpose::test);
  Annotations a;
  for (std::size_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(random.below(kClasses));
    const bool has_va = random.below(6) != 0;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    a.labels.push_back(random.below(6) == 0 ? -1 : label);
    a.valence.push_back(has_va ? 0.4 * label - 0.6 + random.normal(0, 0.2) : nan);
    a.arousal.push_back(has_va ? random.normal(0, 0.3) : nan);
    std::vector<float> soft(kClasses, 0.f);
    if (random.below(3) != 0) soft[static_cast<std::size_t>(label)] = 1;
    a.soft.push_back(random.below(3) != 0 ? soft : std::vector<float>{});
  }
  return a;
}

void expect_same(LabelKind kind, double alpha, double smoothing) {
  const Annotations a = annotations(400);
  LabelModelOptions options;
  options.kind = kind;
  const LabelModel model = fit_label_model(a, kClasses, options);
  Annotations usable = a;
  if (kind == LabelKind::given)
    for (auto& soft : usable.soft)
      if (!soft.empty() && soft == std::vector<float>(kClasses, 0.f)) soft.clear();
  const SoftLabels expected = soft_labels(model, usable, alpha, smoothing);
  const math::TargetModel<float> device = target_model(model, alpha, smoothing);
  const std::vector<float> none(kClasses, 0.f);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const math::Annotation<float> sample{a.labels[i], a.has_va(i), static_cast<float>(a.valence[i]),
                                         static_cast<float>(a.arousal[i]),
                                         a.soft[i].empty() ? none.data() : a.soft[i].data()};
    float q[math::kMaxClasses];
    math::training_target(device, sample, q);
    for (std::size_t k = 0; k < kClasses; ++k)
      EXPECT_NEAR(double{q[k]}, expected.p[i * kClasses + k], 2e-5)
          << name_of(kind) << " sample " << i << " class " << k;
  }
}

TEST(TargetModel, AgreesWithSoftLabelsForEveryKind) {
  for (const LabelKind kind : {LabelKind::gmm, LabelKind::euclid, LabelKind::noise_aware,
                               LabelKind::onehot, LabelKind::given})
    for (const double alpha : {0.0, 0.3, 1.0})
      for (const double smoothing : {0.0, 0.1, 0.75}) expect_same(kind, alpha, smoothing);
}

TEST(TargetModel, WithoutClassAndVaThereIsNothingToSmooth) {
  for (const LabelKind kind : {LabelKind::gmm, LabelKind::onehot, LabelKind::given}) {
    LabelModelOptions options;
    options.kind = kind;
    const auto device =
        target_model(fit_label_model(annotations(400), kClasses, options), 0.5, 0.3);
    const float none[kClasses] = {};
    float q[kClasses] = {9, 9, 9, 9};
    math::training_target(device, math::Annotation<float>{-1, false, 0, 0, none}, q);
    for (const float x : q) EXPECT_EQ(x, 0);
  }
}

TEST(TargetModel, WithoutAnyVaEverySampleIsOneHot) {
  Annotations a;
  a.labels = {0, 1, 2, 2};
  a.valence.assign(4, std::numeric_limits<double>::quiet_NaN());
  a.arousal = a.valence;
  LabelModelOptions options;
  options.kind = LabelKind::onehot;
  const LabelModel model = fit_label_model(a, 3, options);
  const math::TargetModel<float> device = target_model(model, 0.5);
  EXPECT_FALSE(device.knows_va);
  float q[3];
  math::training_target(device, math::Annotation<float>{2, true, 0.1f, 0.2f, nullptr}, q);
  EXPECT_EQ(q[0], 0);
  EXPECT_EQ(q[1], 0);
  EXPECT_EQ(q[2], 1);
}

}  // namespace
}  // namespace affuse
