// The draws' distributions against torchvision's, by moments and ranges.
#include "data/augment_draw.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "gtest/gtest.h"

namespace affuse {
namespace {

constexpr int kSize = 64;
constexpr std::uint32_t kDraws = 20000;

using Params = math::AugmentParams;

Params draw(const AugmentSettings& s, std::uint32_t sample, std::uint32_t epoch = 0,
            std::uint64_t seed = 1, int size = kSize) {
  return draw_augment(s, size, seed, epoch, sample);
}

/// The rotation, shift and scale that an inverse matrix without shear came from.
struct Motion {
  double degrees, tx, ty, scale;
};
Motion motion_of(const math::Affine& a) {
  const double scale = 1 / std::hypot(a.m[0], a.m[3]), angle = std::atan2(a.m[1], a.m[0]);
  const double c = std::cos(angle), s = std::sin(angle);
  return {angle * 180 / 3.14159265358979323846, -scale * (c * a.m[2] - s * a.m[5]),
          -scale * (s * a.m[2] + c * a.m[5]), scale};
}

/// Checks mean and variance of a uniform variable on [low, high] within 5 standard errors, and
/// that it comes close to both ends.
void expect_uniform(double low, double high, const std::function<double(const Params&)>& value,
                    const AugmentSettings& settings = {}) {
  double sum = 0, squares = 0, least = high, most = low;
  const double middle = (low + high) / 2, width = high - low;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const double x = value(draw(settings, i));
    sum += x - middle;
    squares += (x - middle) * (x - middle);
    least = std::min(least, x);
    most = std::max(most, x);
  }
  const double mean = sum / kDraws, variance = squares / kDraws, expected = width * width / 12;
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(expected / kDraws));
  EXPECT_NEAR(variance, expected, 5 * width * width / std::sqrt(180.0 * kDraws));
  EXPECT_GE(least, low - 1e-4 * width);
  EXPECT_LE(most, high + 1e-4 * width);
  EXPECT_LT(least, low + 0.002 * width);
  EXPECT_GT(most, high - 0.002 * width);
}

TEST(AugmentDraw, AffineIsUniform) {
  expect_uniform(-30, 30, [](const Params& p) { return motion_of(p.inverse).degrees; });
  expect_uniform(1, 1.25, [](const Params& p) { return motion_of(p.inverse).scale; });
}

TEST(AugmentDraw, ShiftsAreWholePixelsRoundedFromAUniform) {
  std::map<int, int> across, down;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const Motion m = motion_of(draw({}, i).inverse);
    EXPECT_NEAR(m.tx, std::round(m.tx), 1e-4);
    EXPECT_NEAR(m.ty, std::round(m.ty), 1e-4);
    ++across[static_cast<int>(std::round(m.tx))];
    ++down[static_cast<int>(std::round(m.ty))];
  }
  for (const auto& counts : {across, down}) {
    EXPECT_EQ(counts.size(), 13u);
    for (const auto& [shift, count] : counts) {
      EXPECT_LE(std::abs(shift), 6);
      // round(U(-6.4, 6.4)): 1 / 12.8 a pixel, 0.9 / 12.8 at the ends.
      const double p = (std::abs(shift) == 6 ? 0.9 : 1.0) / 12.8;
      EXPECT_NEAR(count, p * kDraws, 5 * std::sqrt(p * (1 - p) * kDraws)) << shift;
    }
  }
}

TEST(AugmentDraw, JitterFactorsAreUniformAndNeverNegative) {
  AugmentSettings s;
  s.saturation = 0.3;
  s.hue = 0.1;
  expect_uniform(
      0.5, 1.5, [](const Params& p) { return p.brightness; }, s);
  expect_uniform(
      0.5, 1.5, [](const Params& p) { return p.contrast; }, s);
  expect_uniform(
      0.7, 1.3, [](const Params& p) { return p.saturation; }, s);
  expect_uniform(
      -0.1, 0.1, [](const Params& p) { return p.hue; }, s);
  s.brightness = 1.5;
  expect_uniform(
      0, 2.5, [](const Params& p) { return p.brightness; }, s);
}

TEST(AugmentDraw, EveryOrderOfTheJitterIsEquallyLikely) {
  std::map<std::vector<math::Jitter>, int> count;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const Params p = draw({}, i);
    ++count[{p.order, p.order + math::kJitters}];
  }
  ASSERT_EQ(count.size(), 24u);
  double chi2 = 0;
  for (const auto& [order, c] : count) chi2 += std::pow(c - kDraws / 24.0, 2) / (kDraws / 24.0);
  EXPECT_LT(chi2, 49.7);  // 23 degrees of freedom, p = 0.001
}

TEST(AugmentDraw, FlipsAndErasesAtTheirRates) {
  AugmentSettings s;
  s.flip = 0.3;
  s.erase_p = 0.2;
  int flips = 0, erased = 0, both = 0;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const Params p = draw(s, i);
    flips += p.flip;
    erased += p.erase_height > 0;
    both += p.flip == 1 && p.erase_height > 0;
  }
  EXPECT_NEAR(flips, 0.3 * kDraws, 5 * std::sqrt(0.21 * kDraws));
  EXPECT_NEAR(erased, 0.2 * kDraws, 5 * std::sqrt(0.16 * kDraws));
  EXPECT_NEAR(both, 0.06 * kDraws, 5 * std::sqrt(0.0564 * kDraws));
}

TEST(AugmentDraw, ErasedRectanglesHaveTheirAreaRatioAndPlace) {
  AugmentSettings s;
  s.erase_p = 1;
  double area = 0, log_ratio = 0, log_squares = 0, top = 0;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const Params p = draw(s, i, 0, 1, 224);
    ASSERT_GT(p.erase_height, 0);
    ASSERT_LT(p.erase_height, 224);
    ASSERT_LT(p.erase_width, 224);
    ASSERT_GE(p.erase_top, 0);
    ASSERT_GE(p.erase_left, 0);
    ASSERT_LE(p.erase_top + p.erase_height, 224);
    ASSERT_LE(p.erase_left + p.erase_width, 224);
    const double h = p.erase_height, w = p.erase_width;
    area += h * w / (224 * 224);
    log_ratio += std::log(h / w);
    log_squares += std::log(h / w) * std::log(h / w);
    top += p.erase_top / (224 - h);
  }
  const double low = std::log(0.3), high = std::log(3.3), width = high - low;
  EXPECT_NEAR(area / kDraws, 0.135, 5 * 0.23 / std::sqrt(12.0 * kDraws) + 1e-4);
  EXPECT_NEAR(log_ratio / kDraws, (low + high) / 2, 5 * width / std::sqrt(12.0 * kDraws) + 1e-3);
  EXPECT_NEAR(log_squares / kDraws, (high * high * high - low * low * low) / (3 * width), 0.02);
  EXPECT_NEAR(top / kDraws, 0.5, 5 / std::sqrt(12.0 * kDraws));
}

TEST(AugmentDraw, GivesUpErasingAfterTenTries) {
  AugmentSettings s;
  s.erase_p = 1;
  s.erase_area_min = s.erase_area_max = 1;
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(draw(s, i).erase_height, 0);
  // A try fits with p = P(|log ratio| < log 2) = 0.1: 1 - 0.9^10 = 0.6513 of the images.
  s.erase_area_min = s.erase_area_max = 0.5;
  s.erase_ratio_min = std::exp(-std::log(2.0) * 10);
  s.erase_ratio_max = std::exp(std::log(2.0) * 10);
  int erased = 0;
  for (std::uint32_t i = 0; i < kDraws; ++i) erased += draw(s, i, 0, 1, 8192).erase_height > 0;
  EXPECT_NEAR(erased, 0.6513 * kDraws, 5 * std::sqrt(0.2271 * kDraws));
}

TEST(AugmentDraw, IsAFunctionOfSeedEpochAndSample) {
  const auto same = [](const Params& a, const Params& b) {
    return std::memcmp(&a.inverse, &b.inverse, sizeof a.inverse) == 0 &&
           a.brightness == b.brightness && a.contrast == b.contrast;
  };
  EXPECT_TRUE(same(draw({}, 5, 2, 7), draw({}, 5, 2, 7)));
  EXPECT_FALSE(same(draw({}, 5, 2, 7), draw({}, 6, 2, 7)));
  EXPECT_FALSE(same(draw({}, 5, 2, 7), draw({}, 5, 3, 7)));
  EXPECT_FALSE(same(draw({}, 5, 2, 7), draw({}, 5, 2, 8)));
  AugmentSettings plain;  // switching one transform off leaves the others' draws alone
  plain.flip = 0;
  plain.hue = 0.2;
  plain.erase_p = 0;
  EXPECT_TRUE(same(draw({}, 5, 2, 7), draw(plain, 5, 2, 7)));
}

TEST(AugmentDraw, NeighboursAreUncorrelated) {
  double samples = 0, epochs = 0;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const double x = draw({}, i).brightness - 1;
    samples += x * (draw({}, i + 1).brightness - 1);
    epochs += x * (draw({}, i, 1).brightness - 1);
  }
  EXPECT_NEAR(12 * samples / kDraws, 0, 5 / std::sqrt(double{kDraws}));
  EXPECT_NEAR(12 * epochs / kDraws, 0, 5 / std::sqrt(double{kDraws}));
}

TEST(AugmentDraw, NothingIsSwitchedOn) {
  AugmentSettings off;
  off.enabled = false;
  AugmentSettings zero;
  zero.flip = zero.degrees = zero.translate = zero.brightness = zero.contrast = zero.erase_p = 0;
  zero.scale_min = zero.scale_max = 1;
  for (const AugmentSettings& s : {off, zero}) {
    for (std::uint32_t i = 0; i < 50; ++i) {
      const Params p = draw(s, i);
      EXPECT_TRUE(p.inverse.is_identity());
      EXPECT_EQ(p.flip, 0);
      EXPECT_EQ(p.erase_height, 0);
      for (const math::Jitter op : p.order) EXPECT_FALSE(math::jitters(p, op));
    }
  }
}

}  // namespace
}  // namespace affuse
