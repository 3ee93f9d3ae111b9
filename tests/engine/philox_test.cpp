// Philox4x32-10 against Random123's known answers, and the distributions drawn from it.
#include "engine/philox.h"

#include <array>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace affuse {
namespace {

TEST(Philox, KnownAnswersOfRandom123) {
  using Words = std::array<std::uint32_t, 4>;
  const auto run = [](Words c, std::array<std::uint32_t, 2> k) {
    const Philox4 out = philox4x32(c[0], c[1], c[2], c[3], k[0], k[1]);
    return Words{out.v[0], out.v[1], out.v[2], out.v[3]};
  };
  const std::uint32_t ones = 0xFFFFFFFFu;
  EXPECT_EQ(run({0, 0, 0, 0}, {0, 0}), (Words{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(run({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(run({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (Words{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Philox, StreamIsTheBlockFunctionOverTheCounter) {
  Philox stream(0x123456789ABCDEF0u, Purpose::augment, 7, 9);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const Philox4 expected = philox4x32(block, static_cast<std::uint32_t>(Purpose::augment), 7, 9,
                                        0x9ABCDEF0u, 0x12345678u);
    for (const std::uint32_t word : expected.v) EXPECT_EQ(stream.bits(), word);
  }
}

TEST(Philox, StreamsDifferInEveryCoordinate) {
  std::set<std::uint32_t> first;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32})
    for (const Purpose purpose : {Purpose::init, Purpose::shuffle, Purpose::test})
      for (std::uint32_t a = 0; a < 5; ++a)
        for (std::uint32_t b = 0; b < 5; ++b) first.insert(Philox(seed, purpose, a, b).bits());
  EXPECT_EQ(first.size(), 3u * 3u * 25u);
}

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

template <class Draw>
Moments moments(int n, const Draw& draw) {
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = draw();
    s1 += x;
    s2 += x * x;
    s3 += x * x * x;
    s4 += x * x * x * x;
  }
  const double m = s1 / n, e2 = s2 / n, e3 = s3 / n, e4 = s4 / n, var = e2 - m * m;
  return {m, var, (e3 - 3 * m * e2 + 2 * m * m * m) / std::pow(var, 1.5),
          (e4 - 4 * m * e3 + 6 * m * m * e2 - 3 * m * m * m * m) / (var * var)};
}

constexpr int draws = 200000;

// The tolerances are five standard errors of each moment.
TEST(Philox, UniformMoments) {
  Philox stream(3, Purpose::test);
  double low = 1, high = 0;
  const Moments m = moments(draws, [&] {
    const double x = stream.uniform();
    low = std::min(low, x);
    high = std::max(high, x);
    return x;
  });
  EXPECT_GE(low, 0.0);
  EXPECT_LT(high, 1.0);
  EXPECT_LT(low, 1e-4);
  EXPECT_GT(high, 1 - 1e-4);
  EXPECT_NEAR(m.mean, 0.5, 5 * std::sqrt(1.0 / 12 / draws));
  EXPECT_NEAR(m.variance, 1.0 / 12, 5 * std::sqrt(1.0 / 180 / draws));
  EXPECT_NEAR(m.skewness, 0, 0.02);
  EXPECT_NEAR(m.kurtosis, 1.8, 0.02);
  Philox other(3, Purpose::test);
  for (int i = 0; i < 1000; ++i) {
    const double x = other.uniform(-2, 5);
    EXPECT_GE(x, -2);
    EXPECT_LT(x, 5);
  }
}

TEST(Philox, NormalMomentsAndTails) {
  Philox stream(4, Purpose::test);
  int beyond_two = 0;
  const Moments m = moments(draws, [&] {
    const double x = stream.normal();
    beyond_two += std::abs(x) > 2;
    return x;
  });
  EXPECT_NEAR(m.mean, 0, 5 / std::sqrt(double{draws}));
  EXPECT_NEAR(m.variance, 1, 5 * std::sqrt(2.0 / draws));
  EXPECT_NEAR(m.skewness, 0, 5 * std::sqrt(6.0 / draws));
  EXPECT_NEAR(m.kurtosis, 3, 5 * std::sqrt(24.0 / draws));
  const double tail = 0.04550026389635842;
  EXPECT_NEAR(beyond_two / double{draws}, tail, 5 * std::sqrt(tail / draws));
}

TEST(Philox, PairsOfNormalsAreUncorrelated) {
  Philox stream(5, Purpose::test);
  double product = 0;
  for (int i = 0; i < draws / 2; ++i) {
    const double a = stream.normal(), b = stream.normal();
    product += a * b;
  }
  EXPECT_NEAR(product / (draws / 2), 0, 5 / std::sqrt(draws / 2.0));
}

TEST(Philox, BelowIsUniform) {
  for (const std::uint32_t n : {1u, 2u, 3u, 7u, 10u, 64u}) {
    Philox stream(6, Purpose::test, n);
    std::vector<int> counts(n);
    const int total = 20000;
    for (int i = 0; i < total; ++i) {
      const std::uint32_t x = stream.below(n);
      ASSERT_LT(x, n);
      ++counts[x];
    }
    double chi = 0;
    const double expected = double{total} / n;
    for (const int c : counts) chi += (c - expected) * (c - expected) / expected;
    // Five standard deviations of the chi-squared distribution with n - 1 degrees.
    EXPECT_LE(chi, (n - 1) + 5 * std::sqrt(2.0 * n));
  }
}

// With n = 3 * 2^30 a reduction by modulo or multiplication alone would give a third of the values
// twice the weight of the others: 2/4, 1/4, 1/4 of the draws.
TEST(Philox, BelowHasNoBiasForLargeRanges) {
  const std::uint32_t n = 3u << 30;
  Philox stream(7, Purpose::test);
  int by_third[3] = {}, by_residue[3] = {};
  const int total = 60000;
  for (int i = 0; i < total; ++i) {
    const std::uint32_t x = stream.below(n);
    ASSERT_LT(x, n);
    ++by_third[x >> 30];
    ++by_residue[x % 3];
  }
  const double error = 5 * std::sqrt(total * 2.0 / 9);
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(by_third[k], total / 3.0, error);
    EXPECT_NEAR(by_residue[k], total / 3.0, error);
  }
}

}  // namespace
}  // namespace affuse
