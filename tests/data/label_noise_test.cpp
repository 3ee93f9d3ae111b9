// Label noise: how many labels flip, to what, and that the seed decides.
#include "data/label_noise.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "engine/error.h"

namespace affuse {
namespace {

std::vector<int> some_labels(std::size_t n, int classes) {
  std::vector<int> labels;
  for (std::size_t i = 0; i < n; ++i) {
    labels.push_back(i % 10 == 9 ? -1
                                 : static_cast<int>(i * i % static_cast<std::size_t>(classes)));
  }
  return labels;
}

std::size_t changed(const std::vector<int>& before, const std::vector<int>& after) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < before.size(); ++i) n += before[i] != after[i];
  return n;
}

void expect_valid(const std::vector<int>& before, const std::vector<int>& after, int classes) {
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] < 0) {
      EXPECT_EQ(after[i], before[i]);
    } else {
      EXPECT_TRUE(after[i] >= 0 && after[i] < classes);
    }
  }
}

TEST(LabelNoiseTest, ExactOtherFlipsExactlyTheRate) {
  for (const int classes : {2, 8}) {
    const auto labels = some_labels(1111, classes);  // 1,000 with a class
    for (const double rate : {0., .1, .2, .3, .3335, 1.}) {
      const auto noisy = flip_labels(labels, classes, {rate, NoiseMode::exact_other, 5});
      expect_valid(labels, noisy, classes);
      EXPECT_EQ(changed(labels, noisy), static_cast<std::size_t>(std::llround(rate * 1000)));
    }
  }
}

TEST(LabelNoiseTest, OtherClassesAreUniform) {
  const std::vector<int> labels(70000, 3);
  const auto noisy = flip_labels(labels, 8, {1, NoiseMode::exact_other, 11});
  std::map<int, double> counts;
  for (const int label : noisy) ++counts[label];
  EXPECT_EQ(counts.count(3), 0u);
  double chi2 = 0;
  for (const auto& [label, n] : counts) chi2 += (n - 10000) * (n - 10000) / 10000;
  EXPECT_LT(chi2, 22.5);  // 6 degrees of freedom, p = .001
}

TEST(LabelNoiseTest, FlippedSamplesAreUniform) {
  const std::vector<int> labels(40000, 0);
  const auto noisy = flip_labels(labels, 2, {.3, NoiseMode::exact_other, 2});
  double first_half = 0;
  for (std::size_t i = 0; i < 20000; ++i) first_half += noisy[i] != 0;
  EXPECT_NEAR(first_half, 6000, 4 * std::sqrt(40000 * .3 * .25));
}

TEST(LabelNoiseTest, BernoulliFlipsOnAverage) {
  const auto labels = some_labels(50000, 8);  // 45,000 with a class
  const auto noisy = flip_labels(labels, 8, {.2, NoiseMode::bernoulli_other, 3});
  expect_valid(labels, noisy, 8);
  EXPECT_NEAR(static_cast<double>(changed(labels, noisy)), 9000, 4 * std::sqrt(45000 * .16));
  EXPECT_EQ(changed(labels, flip_labels(labels, 8, {1, NoiseMode::bernoulli_other, 3})), 45000u);
}

TEST(LabelNoiseTest, AuthorsEffectiveRates) {
  const std::vector<int> labels(100000, 1);
  for (const auto& [rate, effective] : {std::pair{.1, .083}, {.2, .159}, {.3, .227}}) {
    const auto noisy = flip_labels(labels, 8, {rate, NoiseMode::author, 4});
    expect_valid(labels, noisy, 8);
    EXPECT_NEAR(static_cast<double>(changed(labels, noisy)) / 1e5, effective, .003);
  }
}

TEST(LabelNoiseTest, SeedDecides) {
  const auto labels = some_labels(2000, 8);
  for (const NoiseMode mode :
       {NoiseMode::exact_other, NoiseMode::bernoulli_other, NoiseMode::author}) {
    EXPECT_EQ(flip_labels(labels, 8, {.3, mode, 1}), flip_labels(labels, 8, {.3, mode, 1}));
    EXPECT_NE(flip_labels(labels, 8, {.3, mode, 1}), flip_labels(labels, 8, {.3, mode, 2}));
  }
}

TEST(LabelNoiseTest, RefusesBadOptions) {
  EXPECT_THROW(flip_labels({0, 1}, 2, {-.1}), ConfigError);
  EXPECT_THROW(flip_labels({0, 1}, 2, {1.1}), ConfigError);
  EXPECT_THROW(flip_labels({0, 1}, 2, {std::nan("")}), ConfigError);
  EXPECT_THROW(flip_labels({0, 0}, 1, {.1}), ConfigError);
  EXPECT_EQ(flip_labels({0, 0}, 1, {0}), (std::vector<int>{0, 0}));
  EXPECT_EQ(noise_mode_of("author"), NoiseMode::author);
  EXPECT_THROW(noise_mode_of("random"), ConfigError);
}

}  // namespace
}  // namespace affuse
