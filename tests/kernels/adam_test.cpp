// Adam against torch's definition written out in double, the bf16 copy, and SWA's mean.
#include "kernels/cpu/adam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace affuse::cpu {
namespace {

using math::AdamSettings;

struct Buffers {
  explicit Buffers(std::size_t n, unsigned seed = 1) : w(n), g(n), m(n), v(n), copy(n) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& x : w) x = normal(random);
  }
  void step(const AdamSettings& s, std::int64_t t, std::size_t begin, std::size_t end,
            double gradient_scale = 1, bool decay = true) {
    adam({w.data(), g.data(), m.data(), v.data(), copy.data()}, begin, end,
         math::adam_factors<float>(s, t, gradient_scale, decay));
  }
  std::vector<float> w, g, m, v;
  std::vector<Bf16> copy;
};

/// The algorithm box of torch.optim.Adam / AdamW, in double.
struct Reference {
  double w, m = 0, v = 0;
  void step(const AdamSettings& s, int t, double g) {
    if (s.decoupled)
      w -= s.lr * s.weight_decay * w;
    else
      g += s.weight_decay * w;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(s.beta1, t)), v_hat = v / (1 - std::pow(s.beta2, t));
    w -= s.lr * m_hat / (std::sqrt(v_hat) + s.eps);
  }
};

/// Gradients from 1e-12 to 1e3, with exact zeros: eps and the corrections matter.
float gradient(std::size_t i, int t, std::mt19937& random) {
  if (i % 7 == 0) return 0;
  std::normal_distribution<float> normal;
  return normal(random) * std::pow(10.f, static_cast<float>(i % 16) - 12.f) *
         (1 + 0.1f * static_cast<float>(t));
}

TEST(Adam, FollowsTheDoubleReferenceFor50Steps) {
  for (const std::size_t n : {std::size_t{1}, std::size_t{7}, std::size_t{1003}})
    for (const bool decoupled : {false, true})
      for (const double decay : {0.0, 1e-2})
        for (const double eps : {1e-8, 1e-3}) {
          const AdamSettings s{
              .lr = 1e-2, .eps = eps, .weight_decay = decay, .decoupled = decoupled};
          Buffers b(n);
          std::vector<Reference> want;
          for (float x : b.w) want.push_back({x});
          std::mt19937 random(5);
          for (int t = 1; t <= 50; ++t) {
            for (std::size_t i = 0; i < n; ++i) {
              b.g[i] = gradient(i, t, random);
              want[i].step(s, t, b.g[i]);
            }
            b.step(s, t, 0, n);
          }
          for (std::size_t i = 0; i < n; ++i) {
            ASSERT_NEAR(b.w[i], want[i].w, 1e-5) << "element " << i;
            // Gradients of both signs cancel in m: its error is that of their size, which v shows.
            ASSERT_NEAR(b.m[i], want[i].m, 1e-5 * std::sqrt(want[i].v) + 1e-30);
            ASSERT_NEAR(b.v[i], want[i].v, 1e-5 * want[i].v + 1e-30);
          }
        }
}

TEST(Adam, TheFirstStepIsTheLearningRateWhateverTheGradient) {
  Buffers b(4);
  const auto before = b.w;
  b.g = {1e-3f, -5.f, 1e4f, 0.f};
  b.step({.lr = 0.125}, 1, 0, 4);
  EXPECT_NEAR(b.w[0], before[0] - 0.125f, 2e-6);
  EXPECT_NEAR(b.w[1], before[1] + 0.125f, 1e-6);
  EXPECT_NEAR(b.w[2], before[2] - 0.125f, 1e-6);
  EXPECT_EQ(b.w[3], before[3]);
}

TEST(Adam, TouchesItsRangeOnly) {
  Buffers b(100);
  const Buffers before = b;
  b.g.assign(100, 1.f);
  b.step({}, 1, 13, 58);
  for (std::size_t i = 0; i < 100; ++i) {
    const bool inside = i >= 13 && i < 58;
    EXPECT_EQ(b.w[i] != before.w[i], inside);
    EXPECT_EQ(b.m[i] != 0, inside);
    EXPECT_EQ(b.v[i] != 0, inside);
    EXPECT_EQ(b.copy[i].bits != 0, inside);
  }
  const Buffers same = b;
  b.step({}, 2, 58, 58);
  EXPECT_EQ(b.w, same.w);
}

TEST(Adam, ManyThreadsDoWhatOneDoes) {
  Buffers whole(50001), parts(50001);
  for (std::size_t i = 0; i < whole.g.size(); ++i) whole.g[i] = parts.g[i] = float(i % 101) - 50;
  const AdamSettings s{.weight_decay = 1e-3};
  whole.step(s, 1, 0, 50001);
  for (std::size_t i = 0; i < 50001; i += 777)
    parts.step(s, 1, i, std::min(i + 777, whole.w.size()));
  EXPECT_EQ(whole.w, parts.w);
  EXPECT_EQ(whole.m, parts.m);
  EXPECT_EQ(whole.v, parts.v);
}

TEST(Adam, CopyIsTheRoundedWeightAndChangesNothingElse) {
  Buffers with(1001), without(1001);
  for (std::size_t i = 0; i < 1001; ++i) with.g[i] = without.g[i] = float(i) - 500;
  const AdamSettings s{.weight_decay = 1e-3};
  with.step(s, 1, 0, 1001);
  adam({without.w.data(), without.g.data(), without.m.data(), without.v.data()}, 0, 1001,
       math::adam_factors<float>(s, 1));
  EXPECT_EQ(with.w, without.w);
  for (std::size_t i = 0; i < 1001; ++i) {
    EXPECT_EQ(with.copy[i].bits, to_bf16(with.w[i]).bits);
    EXPECT_LE(std::abs(to_float(with.copy[i]) - with.w[i]), std::abs(with.w[i]) / 256);
  }
}

TEST(Adam, GradientScaleUndoesTheLossScale) {
  Buffers plain(33), scaled(33);
  for (std::size_t i = 0; i < 33; ++i) {
    plain.g[i] = 0.01f * float(i);
    scaled.g[i] = plain.g[i] * 65536;
  }
  const AdamSettings s{.weight_decay = 1e-2};
  plain.step(s, 1, 0, 33);
  scaled.step(s, 1, 0, 33, 1.0 / 65536);
  EXPECT_EQ(plain.w, scaled.w);
  EXPECT_EQ(plain.v, scaled.v);
}

TEST(Adam, DecayCanBeLeftOut) {
  for (const bool decoupled : {false, true}) {
    Buffers off(33), none(33);
    off.g = none.g = std::vector<float>(33, 0.5f);
    off.step({.weight_decay = 0.1, .decoupled = decoupled}, 1, 0, 33, 1, false);
    none.step({}, 1, 0, 33);
    EXPECT_EQ(off.w, none.w);
  }
}

TEST(Average, IsTheMeanOfWhatItSaw) {
  const std::size_t n = 1003;
  std::vector<float> mean(n, std::numeric_limits<float>::quiet_NaN());
  std::vector<double> sum(n, 0.0);
  for (int count = 0; count < 13; ++count) {
    const Buffers b(n, static_cast<unsigned>(count));
    average(mean.data(), b.w.data(), 0, n, count);
    for (std::size_t i = 0; i < n; ++i) sum[i] += double{b.w[i]};
    if (count == 0) {
      EXPECT_EQ(mean, b.w);
    }
  }
  for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(mean[i], sum[i] / 13, 1e-6);
}

}  // namespace
}  // namespace affuse::cpu
