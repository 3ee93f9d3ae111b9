// Mixup's share against Beta(a, a): moments, the whole distribution, and its extremes.
#include "data/mixup_draw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace affuse {
namespace {

constexpr std::uint32_t kDraws = 20000;

std::vector<double> draws(double a, std::uint64_t seed = 1, std::uint32_t epoch = 0) {
  std::vector<double> all;
  for (std::uint32_t step = 0; step < kDraws; ++step)
    all.push_back(double{draw_mixup(a, seed, epoch, step)});
  return all;
}

/// The regularised incomplete beta function I_x(a, a) by its continued fraction (Abramowitz and
/// Stegun 26.5.8), which converges fast for x <= 1/2; the other half by symmetry.
double beta_cdf(double a, double x) {
  if (x > 0.5) return 1 - beta_cdf(a, 1 - x);
  if (x <= 0) return 0;
  double fraction = 1;
  for (int m = 60; m >= 1; --m) {
    const double even = m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const int k = m - 1;
    const double odd = -(a + k) * (2 * a + k) * x / ((a + 2 * k) * (a + 2 * k + 1));
    fraction = 1 + odd / (1 + even / fraction);
  }
  const double log_front =
      a * std::log(x * (1 - x)) - std::log(a) - 2 * std::lgamma(a) + std::lgamma(2 * a);
  return std::exp(log_front) / fraction;
}

TEST(MixupDraw, TheReferenceIsTheBetaDistribution) {
  for (const double x : {0.0, 1e-9, 0.1, 0.3, 0.5, 0.8, 1.0}) {
    EXPECT_NEAR(beta_cdf(1, x), x, 1e-12);
    EXPECT_NEAR(beta_cdf(2, x), x * x * (3 - 2 * x), 1e-12);
    EXPECT_NEAR(beta_cdf(0.5, x), 2 / std::acos(-1.0) * std::asin(std::sqrt(x)), 1e-12);
  }
}

// At 1/2 the fraction converges slowest.
TEST(MixupDraw, TheReferenceIsSymmetric) {
  for (const double a : {0.05, 0.2, 4.0, 100.0}) EXPECT_NEAR(beta_cdf(a, 0.5), 0.5, 1e-9) << a;
}

TEST(MixupDraw, HasTheMomentsOfBeta) {
  for (const double a : {0.2, 1.0, 4.0, 50.0}) {
    double sum = 0, squares = 0, fourth = 0;
    for (const double m : draws(a)) {
      const double d = m - 0.5;
      sum += d;
      squares += d * d;
      fourth += d * d * d * d;
    }
    const double mean = sum / kDraws, variance = squares / kDraws;
    const double want = 1 / (4 * (2 * a + 1));
    EXPECT_NEAR(mean, 0, 4 * std::sqrt(want / kDraws)) << a;
    EXPECT_NEAR(variance, want, 4 * std::sqrt((fourth / kDraws - want * want) / kDraws)) << a;
  }
}

/// The upper end of what rounds to the float x: for a small a much lies within a rounding of 1.
double rounds_up_to(double x) {
  return x < 1 ? (x + double{std::nextafter(static_cast<float>(x), 2.f)}) / 2 : 1;
}

TEST(MixupDraw, FollowsBetasDistribution) {
  for (const double a : {0.05, 0.2, 1.0, 4.0, 100.0}) {
    std::vector<double> all = draws(a, 5);
    std::sort(all.begin(), all.end());
    double distance = 0;  // of Kolmogorov and Smirnov, at the values that occur
    for (std::size_t i = 0; i < all.size(); ++i)
      if (i + 1 == all.size() || all[i + 1] != all[i])
        distance = std::max(distance, std::abs(static_cast<double>(i + 1) / kDraws -
                                               beta_cdf(a, rounds_up_to(all[i]))));
    EXPECT_LT(distance, 1.63 / std::sqrt(kDraws)) << a << ": the 1 % point";
  }
}

TEST(MixupDraw, StaysWithinZeroAndOneForEveryParameter) {
  for (const double a : {1e-308, 1e-30, 1e-6, 0.01, 0.2, 1.0, 100.0}) {
    int high = 0;
    for (const double m : draws(a)) {
      ASSERT_TRUE(m >= 0 && m <= 1) << a;  // NaN is not
      high += m > 0.5;
    }
    EXPECT_NEAR(high, kDraws / 2, 4 * std::sqrt(kDraws / 4)) << a;
  }
}

TEST(MixupDraw, OffIsOne) { EXPECT_EQ(draw_mixup(0, 1, 2, 3), 1.0f); }

TEST(MixupDraw, IsAFunctionOfSeedEpochAndStep) {
  const std::vector<double> all = draws(1);
  EXPECT_EQ(all, draws(1));
  for (const auto& other : {draws(1, 2), draws(1, 1, 1)}) {
    double together = 0;
    int same = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      together += (all[i] - 0.5) * (other[i] - 0.5);
      same += all[i] == other[i];
    }
    EXPECT_LT(same, 10);
    EXPECT_NEAR(together / kDraws, 0, 4.0 / 12 / std::sqrt(kDraws)) << "uncorrelated";
  }
}

}  // namespace
}  // namespace affuse
