// The batch kernels of Eq. 6-9: against the double formulas, fused against composed, padding.
#include "kernels/cpu/affect_loss.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/error.h"
#include "gtest/gtest.h"

namespace affuse::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Problem {
  int n, valid;
  math::LossSettings settings;
  std::vector<float> logits, va_hat, q, va;
  std::vector<std::int32_t> label;
  std::vector<std::uint8_t> has_va;

  math::AffectTargets targets() const { return {q.data(), label.data(), va.data(), has_va.data()}; }
};

struct Output {
  explicit Output(const Problem& p)
      : d_logits(p.logits.size(), kNan),
        d_va(p.va.size(), kNan),
        terms(static_cast<std::size_t>(p.n) * 3, kNan),
        probabilities(p.logits.size(), kNan) {}
  AffectLossOutput view() {
    return {d_logits.data(), d_va.data(), terms.data(), probabilities.data()};
  }
  std::vector<float> d_logits, d_va, terms, probabilities;
};

/// Soft and one-hot targets, some samples without class or VA; rows from `valid` on hold NaN.
Problem make_problem(int n, int valid, int k, math::ClassWeightMode mode, float gamma = 0) {
  std::mt19937 g(static_cast<unsigned>(n * 100 + k));
  std::normal_distribution<float> normal(0, 4);
  std::uniform_real_distribution<float> unit(-1, 1);
  Problem p{n,  valid, {.coef_ce = 1.5f, .coef_cs = 0.5f, .coef_l2 = 2, .mode = mode, .classes = k},
            {}, {},    {},
            {}, {},    {}};
  p.settings.focal_gamma = gamma;
  for (int i = 0; i < k; ++i) p.settings.class_weight[i] = 1 + 3 * std::abs(unit(g));
  for (int i = 0; i < n; ++i) {
    const bool real = i < valid;
    float sum = 0;
    std::vector<float> q(static_cast<std::size_t>(k));
    for (float& x : q) sum += x = std::abs(unit(g));
    for (float x : q) {
      p.q.push_back(real ? x / sum : kNan);
      p.logits.push_back(real ? normal(g) : kNan);
    }
    p.label.push_back(i % 5 == 4 ? -1 : i % k);
    p.has_va.push_back(i % 3 != 2);
    for (int j = 0; j < 2; ++j) {
      p.va.push_back(real && i % 3 != 2 ? unit(g) : kNan);
      p.va_hat.push_back(real ? unit(g) : kNan);
    }
  }
  return p;
}

BatchLoss run(const Problem& p, Output& out, float scale = 1) {
  return affect_loss_forward_backward(p.settings, p.logits.data(), p.va_hat.data(), p.targets(),
                                      p.n, p.valid, out.view(), scale);
}

template <class Test>
void for_all(Test test) {
  using enum math::ClassWeightMode;
  for (const auto mode : {sample, per_class, soft, none})
    for (const int k : {2, 3, 7, 8, 11, 32})
      for (const auto& [n, valid] : {std::pair{1, 1}, {13, 13}, {64, 37}, {5, 0}})
        for (const float gamma : {0.f, 0.5f, 2.f}) test(make_problem(n, valid, k, mode, gamma));
}

TEST(AffectLoss, EqualsTheDoubleFormulasAndTheirMean) {
  for_all([](const Problem& p) {
    Output out(p);
    const BatchLoss loss = run(p, out);
    EXPECT_TRUE(loss.finite);
    const auto k = static_cast<std::size_t>(p.settings.classes);
    math::LossTerms<double> sum;
    for (int row = 0; row < p.valid; ++row) {
      const auto i = static_cast<std::size_t>(row);
      const std::vector<double> z(&p.logits[i * k], &p.logits[i * k] + k);
      const std::vector<double> q(&p.q[i * k], &p.q[i * k] + k);
      const double va[2] = {p.va[2 * i], p.va[2 * i + 1]};
      const double va_hat[2] = {p.va_hat[2 * i], p.va_hat[2 * i + 1]};
      std::vector<double> prob(k), d_logits(k);
      double d_va[2];
      const auto t = math::affect_loss<double>(p.settings, z.data(), va_hat,
                                               {q.data(), p.label[i], va, p.has_va[i] != 0},
                                               1.0 / p.valid, prob.data(), d_logits.data(), d_va);
      for (std::size_t j = 0; j < k; ++j) {
        EXPECT_NEAR(out.probabilities[i * k + j], prob[j], 1e-6);
        EXPECT_NEAR(out.d_logits[i * k + j], d_logits[j], 1e-5 / p.valid);
      }
      for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(out.d_va[2 * i + j], d_va[j], 1e-5 / p.valid);
      EXPECT_NEAR(out.terms[3 * i], t.ce, 1e-5 * (1 + t.ce));
      EXPECT_NEAR(out.terms[3 * i + 1], t.cs, 1e-5);
      EXPECT_NEAR(out.terms[3 * i + 2], t.l2, 1e-5 * (1 + t.l2));
      sum.ce += t.ce;
      sum.cs += t.cs;
      sum.l2 += t.l2;
    }
    const double n = std::max(p.valid, 1);
    EXPECT_NEAR(loss.ce, sum.ce / n, 1e-6 * (1 + sum.ce / n));
    EXPECT_NEAR(loss.cs, sum.cs / n, 1e-6);
    EXPECT_NEAR(loss.l2, sum.l2 / n, 1e-6 * (1 + sum.l2 / n));
    EXPECT_DOUBLE_EQ(loss.total(p.settings), 1.5 * loss.ce + 0.5 * loss.cs + 2 * loss.l2);
  });
}

TEST(AffectLoss, PaddingIsExactlyZero) {
  for_all([](const Problem& p) {
    Output out(p);
    run(p, out);
    const auto valid = static_cast<std::size_t>(p.valid);
    const auto k = static_cast<std::size_t>(p.settings.classes);
    const auto expect_zero = [&](const std::vector<float>& x, std::size_t width) {
      for (std::size_t i = valid * width; i < x.size(); ++i) ASSERT_EQ(x[i], 0.f);
    };
    expect_zero(out.d_logits, k);
    expect_zero(out.d_va, 2);
    expect_zero(out.terms, 3);
    expect_zero(out.probabilities, k);
  });
}

TEST(AffectLoss, FusedEqualsItsComposition) {
  for_all([](const Problem& p) {
    Output out(p);
    const BatchLoss loss = run(p, out);
    Output ce(p), cs(p), l2_out(p);
    const auto n = static_cast<std::size_t>(p.n);
    std::vector<float> ce_terms(n, kNan), cs_terms(n, kNan), l2_terms(n, kNan), prob(p.logits);
    const auto& s = p.settings;
    const auto t = p.targets();
    EXPECT_EQ(softmax_ce(s, p.logits.data(), t, p.n, p.valid, ce_terms.data(), ce.d_logits.data()),
              loss.ce);
    EXPECT_EQ(cosine(s, p.logits.data(), t, p.n, p.valid, cs_terms.data(), cs.d_logits.data()),
              loss.cs);
    EXPECT_EQ(l2(s, p.va_hat.data(), t, p.n, p.valid, l2_terms.data(), l2_out.d_va.data()),
              loss.l2);
    softmax(p.logits.data(), p.valid, s.classes, prob.data());
    const auto k = static_cast<std::size_t>(s.classes);
    for (std::size_t i = 0; i < p.logits.size(); ++i) {
      EXPECT_NEAR(out.d_logits[i], ce.d_logits[i] + cs.d_logits[i], 1e-6f);
      if (i < static_cast<std::size_t>(p.valid) * k) {
        EXPECT_EQ(prob[i], out.probabilities[i]);
      }
    }
    for (std::size_t i = 0; i < p.va.size(); ++i) EXPECT_NEAR(out.d_va[i], l2_out.d_va[i], 1e-6f);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(out.terms[3 * i], ce_terms[i]);
      EXPECT_EQ(out.terms[3 * i + 1], cs_terms[i]);
      EXPECT_EQ(out.terms[3 * i + 2], l2_terms[i]);
    }
  });
}

TEST(AffectLoss, ScaleMultipliesGradientsOnly) {
  const Problem p = make_problem(9, 7, 8, math::ClassWeightMode::sample);
  Output plain(p), scaled(p);
  EXPECT_EQ(run(p, plain).ce, run(p, scaled, 1024).ce);
  for (std::size_t i = 0; i < plain.d_logits.size(); ++i)
    EXPECT_NEAR(1024 * plain.d_logits[i], scaled.d_logits[i], 1e-3f);
  EXPECT_EQ(plain.terms, scaled.terms);
}

TEST(AffectLoss, ReportsNonFiniteValues) {
  const Problem good = make_problem(6, 4, 8, math::ClassWeightMode::sample);
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    Problem p = good;
    p.logits[11] = bad;
    Output out(p);
    EXPECT_FALSE(run(p, out).finite);
    p.settings.focal_gamma = 0.5f;
    EXPECT_FALSE(run(p, out).finite);
    p = good;
    p.va_hat[1] = bad;
    Output va_out(p);
    EXPECT_FALSE(run(p, va_out).finite);
  }
  for (const bool logits : {true, false}) {
    Problem p = good;
    (logits ? p.settings.coef_l2 : p.settings.coef_ce) = 0;
    (logits ? p.settings.coef_l2 : p.settings.coef_cs) = 0;
    for (float& w : p.settings.class_weight) w *= 1000;
    Output overflow(p);
    EXPECT_TRUE(run(p, overflow).finite);
    EXPECT_FALSE(run(p, overflow, 3e38f).finite) << "one gradient alone overflows";
  }
}

TEST(AffectLoss, RefusesWhatItCannotCompute) {
  const Problem good = make_problem(6, 4, 8, math::ClassWeightMode::sample);
  Output out(good);
  for (const int label : {8, -2}) {
    Problem p = good;
    p.label[3] = label;
    EXPECT_THROW(run(p, out), DataError);
  }
  for (const int classes : {0, 33}) {
    Problem p = good;
    p.settings.classes = classes;
    EXPECT_THROW(run(p, out), Error);
  }
  Problem p = good;
  p.valid = 7;
  EXPECT_THROW(run(p, out), Error);
}

}  // namespace
}  // namespace affuse::cpu
