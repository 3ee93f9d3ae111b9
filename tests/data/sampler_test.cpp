// The order of samples: a permutation, uniform, a function of seed and epoch.
#include "data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "engine/error.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

std::vector<std::uint32_t> all_of(const Sampler& sampler) {
  std::vector<std::uint32_t> out;
  for (std::size_t b = 0; b < sampler.batches(); ++b) {
    const auto batch = sampler.batch(b);
    out.insert(out.end(), batch.begin(), batch.end());
  }
  return out;
}

TEST(Sampler, EverySampleOnceAnEpoch) {
  for (const std::size_t n : {0u, 1u, 2u, 31u, 32u, 33u, 1000u}) {
    for (const bool shuffle : {false, true}) {
      Sampler sampler(n, 32, shuffle, 9, false);
      for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
        sampler.start_epoch(epoch);
        EXPECT_EQ(sampler.batches(), (n + 31) / 32);
        auto order = all_of(sampler);
        std::vector<std::uint32_t> sorted(n);
        std::iota(sorted.begin(), sorted.end(), 0u);
        if (shuffle) std::ranges::sort(order);
        EXPECT_EQ(order, sorted);
      }
    }
  }
}

TEST(Sampler, OrderIsAFunctionOfSeedAndEpoch) {
  Sampler one(500, 7, true, 3, false), two(500, 64, true, 3, false), other(500, 7, true, 4, false);
  std::set<std::vector<std::uint32_t>> orders;
  for (std::uint32_t epoch = 0; epoch < 5; ++epoch) {
    one.start_epoch(epoch);
    two.start_epoch(epoch);
    other.start_epoch(epoch);
    EXPECT_EQ(all_of(one), all_of(two));
    orders.insert(all_of(one));
    orders.insert(all_of(other));
  }
  EXPECT_EQ(orders.size(), 10u);
  two.start_epoch(2);  // back again
  one.start_epoch(2);
  EXPECT_EQ(all_of(one), all_of(two));
}

TEST(Sampler, EveryPermutationIsEquallyLikely) {
  std::vector<int> count(24);
  constexpr int rounds = 24000;
  for (std::uint32_t epoch = 0; epoch < rounds; ++epoch) {
    const auto p = shuffled_order(4, 1, epoch);
    const auto rank = [&](std::size_t i) {
      return std::count_if(p.begin() + static_cast<std::ptrdiff_t>(i), p.end(),
                           [&](std::uint32_t x) { return x < p[i]; });
    };
    ++count[static_cast<std::size_t>(6 * rank(0) + 2 * rank(1) + rank(2))];
  }
  double chi2 = 0;
  for (const int c : count) chi2 += (c - 1000.0) * (c - 1000.0) / 1000.0;
  EXPECT_LT(chi2, 49.7);  // 23 degrees of freedom, p = 0.001
}

TEST(Sampler, DropsAShortLastBatchWhenAsked) {
  EXPECT_EQ(Sampler(33, 32, true, 0, true).batches(), 1u);
  EXPECT_EQ(Sampler(64, 32, true, 0, true).batches(), 2u);
  EXPECT_EQ(Sampler(31, 32, true, 0, true).batches(), 0u);
  EXPECT_EQ(Sampler(33, 32, true, 0, false).batch(1).size(), 1u);
  EXPECT_THROW(Sampler(1, 0, true, 0, false), ConfigError);
}

TEST(Sampler, RanksShareEveryBatchEvenlyAndInOrder) {
  for (const std::size_t ranks : {1u, 2u, 3u, 4u})
    for (std::size_t n = 1; n < 40; ++n) {
      Sampler whole(n, 12, true, 5, false);
      whole.start_epoch(3);
      for (std::size_t b = 0; b < whole.batches(); ++b) {
        std::vector<std::uint32_t> joined;
        for (std::size_t r = 0; r < ranks; ++r) {
          Sampler part(n, 12, true, 5, false, {r, ranks});
          part.start_epoch(3);
          ASSERT_EQ(part.batches(), whole.batches());
          EXPECT_EQ(part.count(b), whole.batch(b).size());
          const auto share = part.batch(b);
          EXPECT_LE(share.size(), 12 / ranks);
          EXPECT_GE(share.size(), whole.batch(b).size() / ranks);
          EXPECT_TRUE(r > 0 || !share.empty());
          joined.insert(joined.end(), share.begin(), share.end());
        }
        EXPECT_EQ(joined, std::vector(whole.batch(b).begin(), whole.batch(b).end()));
      }
    }
  EXPECT_THROW(Sampler(20, 10, true, 0, false, {0, 3}), ConfigError);
}

}  // namespace
}  // namespace affuse
