// Eq. 6-9 of one sample against formulas written out again in long double, and their gradients
// against finite differences.
#include "kernels/math/affect.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace affuse::math {
namespace {

constexpr ClassWeightMode kModes[] = {ClassWeightMode::sample, ClassWeightMode::per_class,
                                      ClassWeightMode::soft, ClassWeightMode::none};

struct Case {
  std::string name;
  std::vector<double> logits, q;
  int label;
  bool has_va;
  double va[2], va_hat[2];
};

std::vector<double> random_distribution(int k, std::mt19937& g) {
  std::gamma_distribution<double> gamma(0.5);
  std::vector<double> q(static_cast<std::size_t>(k));
  for (double& x : q) x = gamma(g) + 1e-12;
  const double sum = std::accumulate(q.begin(), q.end(), 0.0);
  for (double& x : q) x /= sum;
  return q;
}

std::vector<Case> cases(int k, unsigned seed) {
  std::mt19937 g(seed);
  std::normal_distribution<double> normal(0, 2);
  std::uniform_real_distribution<double> unit(-1, 1);
  const auto n = static_cast<std::size_t>(k);
  const auto one_hot = [&](int c) {
    std::vector<double> q(n, 0.0);
    q[static_cast<std::size_t>(c)] = 1;
    return q;
  };
  std::vector<double> random(n), extreme(n, -80.0), confident(n, 0.0);
  for (double& x : random) x = normal(g);
  extreme[0] = 80;
  confident[n - 1] = 18;
  auto with_zeros = random_distribution(k, g);
  with_zeros[0] += with_zeros[n - 1];
  with_zeros[n - 1] = 0;
  std::vector<Case> all = {
      {"random", random, random_distribution(k, g), 1, true, {}, {}},
      {"no class", random, random_distribution(k, g), -1, true, {}, {}},
      {"no va", random, one_hot(1), 1, false, {}, {}},
      {"zero entries", random, with_zeros, 0, true, {}, {}},
      {"sure and right", extreme, one_hot(0), 0, true, {}, {}},
      {"sure and wrong", extreme, one_hot(1), 1, true, {}, {}},
      {"sure, soft target", extreme, random_distribution(k, g), 0, true, {}, {}},
      {"nearly one", confident, one_hot(k - 1), k - 1, true, {}, {}},
      {"equal logits", std::vector<double>(n, -80.0), random_distribution(k, g), 0, true, {}, {}},
      {"no target", random, std::vector<double>(n, 0.0), -1, false, {}, {}}};
  for (Case& c : all)
    for (int i = 0; i < 2; ++i) {
      c.va[i] = c.has_va ? unit(g) : std::numeric_limits<double>::quiet_NaN();
      c.va_hat[i] = std::tanh(2 * unit(g));
    }
  return all;
}

LossSettings settings_of(int k, ClassWeightMode mode) {
  LossSettings s{.coef_ce = 1.25f, .coef_cs = 0.75f, .coef_l2 = 2.f, .mode = mode, .classes = k};
  for (int i = 0; i < k; ++i) s.class_weight[i] = 1.f + 0.5f * static_cast<float>(i * i);
  return s;
}

/// Eq. 6-8 as the paper writes them.
LossTerms<long double> expected(const LossSettings& s, const Case& c) {
  const std::size_t k = c.logits.size();
  long double top = *std::max_element(c.logits.begin(), c.logits.end()), sum = 0;
  for (double z : c.logits) sum += std::exp(z - top);
  const auto best = std::max_element(c.q.begin(), c.q.end()) - c.q.begin();
  const auto cls = c.label >= 0 ? c.label : best;
  long double w = s.class_weight[cls], soft = 0;
  for (std::size_t i = 0; i < k; ++i) soft += static_cast<long double>(c.q[i]) * s.class_weight[i];
  if (s.mode == ClassWeightMode::soft) w = soft;
  if (s.mode == ClassWeightMode::none) w = 1;
  long double ce = 0, dot = 0, pp = 0, qq = 0;
  for (std::size_t i = 0; i < k; ++i) {
    const long double log_p = c.logits[i] - top - std::log(sum), p = std::exp(log_p);
    ce -= (s.mode == ClassWeightMode::per_class ? s.class_weight[i] : w) * c.q[i] * log_p;
    dot += c.q[i] * p;
    pp += p * p;
    qq += static_cast<long double>(c.q[i]) * c.q[i];
  }
  const long double cos = dot / std::max(std::sqrt(pp * qq), 1e-8L);
  long double l2 = 0;
  if (c.has_va)
    for (int i = 0; i < 2; ++i)
      l2 += (s.weighted_l2 ? w : 1) * (c.va[i] - c.va_hat[i]) * (c.va[i] - c.va_hat[i]);
  return {ce, w * (1 - cos), l2};
}

struct Result {
  LossTerms<double> terms;
  std::vector<double> p, d_logits, d_va;
};

template <class Real>
Result run(const LossSettings& s, const Case& c, double scale = 1) {
  const std::vector<Real> z(c.logits.begin(), c.logits.end()), q(c.q.begin(), c.q.end());
  const Real va[2] = {Real(c.va[0]), Real(c.va[1])};
  const Real va_hat[2] = {Real(c.va_hat[0]), Real(c.va_hat[1])};
  std::vector<Real> p(z.size()), d_logits(z.size(), Real(7)), d_va(2, Real(7));
  const auto t = affect_loss<Real>(s, z.data(), va_hat, {q.data(), c.label, va, c.has_va},
                                   Real(scale), p.data(), d_logits.data(), d_va.data());
  return {{double(t.ce), double(t.cs), double(t.l2)},
          {p.begin(), p.end()},
          {d_logits.begin(), d_logits.end()},
          {d_va.begin(), d_va.end()}};
}

double total(const LossSettings& s, const Case& c) {
  const auto t = run<double>(s, c).terms;
  return s.coef_ce * t.ce + s.coef_cs * t.cs + s.coef_l2 * t.l2;
}

template <class Test>
void for_all(Test test) {
  for (int k = 2; k <= 11; ++k)
    for (const ClassWeightMode mode : kModes)
      for (const bool weighted : {true, false})
        for (const Case& c : cases(k, static_cast<unsigned>(k))) {
          auto s = settings_of(k, mode);
          s.weighted_l2 = weighted;
          SCOPED_TRACE(c.name + ", K = " + std::to_string(k) + ", mode " +
                       std::to_string(static_cast<int>(mode)));
          test(s, c);
        }
}

TEST(AffectMath, EqualsThePapersFormulas) {
  for_all([](const LossSettings& s, const Case& c) {
    const auto got = run<double>(s, c).terms;
    const auto want = expected(s, c);
    EXPECT_NEAR(got.ce, double(want.ce), 1e-12 * (1 + std::abs(double(want.ce))));
    EXPECT_NEAR(got.cs, double(want.cs), 1e-12 * (1 + std::abs(double(want.cs))));
    EXPECT_NEAR(got.l2, double(want.l2), 1e-12 * (1 + std::abs(double(want.l2))));
  });
}

TEST(AffectMath, GradientsEqualFiniteDifferences) {
  for_all([](const LossSettings& s, const Case& c) {
    const auto got = run<double>(s, c, 3.0);
    const double h = 1e-5;
    const auto slope = [&](auto edit) {
      Case up = c, down = c;
      edit(up) += h;
      edit(down) -= h;
      return 3 * (total(s, up) - total(s, down)) / (2 * h);
    };
    for (std::size_t k = 0; k < c.logits.size(); ++k) {
      const double want = slope([k](Case& x) -> double& { return x.logits[k]; });
      EXPECT_NEAR(got.d_logits[k], want, 1e-6 * (1 + std::abs(want))) << "logit " << k;
    }
    for (int i = 0; i < 2; ++i) {
      const double want = slope([i](Case& x) -> double& { return x.va_hat[i]; });
      EXPECT_NEAR(got.d_va[static_cast<std::size_t>(i)], want, 1e-6 * (1 + std::abs(want)));
    }
  });
}

TEST(AffectMath, FloatFollowsDouble) {
  for_all([](const LossSettings& s, const Case& c) {
    const auto f = run<float>(s, c), d = run<double>(s, c);
    const double unit = 1e-6 * s.class_weight[s.classes - 1];
    EXPECT_NEAR(f.terms.ce, d.terms.ce, unit * (1 + d.terms.ce));
    EXPECT_NEAR(f.terms.cs, d.terms.cs, unit);
    EXPECT_NEAR(f.terms.l2, d.terms.l2, unit * (1 + d.terms.l2));
    for (std::size_t k = 0; k < c.logits.size(); ++k) {
      EXPECT_NEAR(f.p[k], d.p[k], 1e-6);
      EXPECT_NEAR(f.d_logits[k], d.d_logits[k], 3 * unit);
    }
    for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(f.d_va[i], d.d_va[i], 4 * unit);
  });
}

TEST(AffectMath, LogitGradientsSumToZeroAndProbabilitiesToOne) {
  for_all([](const LossSettings& s, const Case& c) {
    const auto r = run<double>(s, c);
    const double size = 1 + std::abs(*std::max_element(r.d_logits.begin(), r.d_logits.end()));
    EXPECT_NEAR(std::accumulate(r.d_logits.begin(), r.d_logits.end(), 0.0), 0, 1e-13 * size);
    EXPECT_NEAR(std::accumulate(r.p.begin(), r.p.end(), 0.0), 1, 1e-14);
  });
}

TEST(AffectMath, MissingVaAndMissingTargetGiveZeroGradients) {
  const auto s = settings_of(5, ClassWeightMode::sample);
  for (const Case& c : cases(5, 3)) {
    const auto r = run<float>(s, c);
    if (c.name == "no va") {
      EXPECT_EQ(r.terms.l2, 0);
      EXPECT_EQ(r.d_va, (std::vector<double>{0, 0}));
    }
    if (c.name == "no target") {
      EXPECT_EQ(r.d_logits, std::vector<double>(5, 0.0));
    }
  }
}

TEST(AffectMath, AWrongSureAnswerCostsItsLogit) {
  const float z[2] = {80, -80}, q[2] = {0, 1}, va[2] = {};
  float p[2], d_logits[2], d_va[2];
  LossSettings s{.coef_cs = 0, .classes = 2};
  s.class_weight[1] = 3;
  const auto t = affect_loss<float>(s, z, va, {q, 1, va, true}, 1.f, p, d_logits, d_va);
  EXPECT_EQ(t.ce, 3 * 160.f);
  EXPECT_EQ(t.cs, 3.f);
  EXPECT_EQ(d_logits[0], 3.f);
  EXPECT_EQ(d_logits[1], -3.f);
}

}  // namespace
}  // namespace affuse::math
