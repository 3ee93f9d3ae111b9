// Softmax and the three loss terms alone: against the fused kernel and direct double formulas.
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/kernels/cuda/affect_problem.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using math::ClassWeightMode;
using math::TargetKind;
using testing_affect::AffectProblem;
using testing_affect::elements;
using testing_affect::kNan;
using testing_affect::largest_error;
using testing_affect::make_problem;
using testing_affect::same_bits;
using testing_affect::widened;

constexpr ClassWeightMode kModes[] = {ClassWeightMode::sample, ClassWeightMode::per_class,
                                      ClassWeightMode::soft, ClassWeightMode::none};

/// What the kernels of the single terms write.
struct Terms {
  DeviceVector<float> probability, ce, cs, l2, d_ce, d_cs, d_va;
};

Terms run_terms(const AffectProblem& p, const DeviceVector<float>& q) {
  const DeviceValue<math::LossSettings> settings(*p.settings);
  const DeviceVector<float> rows(elements(p.n, p.classes), kNan), column(elements(p.n, 1), kNan);
  Terms t{rows, column, column, column, rows, rows, DeviceVector<float>(elements(p.n, 2), kNan)};
  const gpu_kernels::LossTerm a{settings.get(),
                                {q.data(), p.label.data(), p.va.data(), p.has_va.data()},
                                p.n,
                                p.state.valid,
                                p.classes};
  gpu_kernels::softmax(p.logits.data(), p.n, p.classes, t.probability.data(), nullptr);
  gpu_kernels::softmax_ce(a, p.logits.data(), t.ce.data(), t.d_ce.data(), nullptr);
  gpu_kernels::cosine(a, p.logits.data(), t.cs.data(), t.d_cs.data(), nullptr);
  gpu_kernels::weighted_l2(a, p.va_hat.data(), t.l2.data(), t.d_va.data(), nullptr);
  return t;
}

template <class Test>
void for_all(Test test) {
  for (const int k : {1, 2, 7, 8, 32})
    for (const auto& [n, valid] : {std::pair{1, 1}, {37, 20}, {256, 256}, {5, 0}})
      for (const ClassWeightMode mode : kModes) {
        AffectProblem p = make_problem(n, valid, k, TargetKind::gmm, mode);
        p.settings->weighted_l2 = (n + k) % 2 == 0;
        p.model->smoothing = k % 3 == 2 ? .1f : 0.f;
        for (const float gamma : {0.f, .5f, 2.f}) {
          p.settings->focal_gamma = gamma;
          test(p);
        }
      }
}

TEST(CudaLossTerms, EqualTheFusedKernel) {
  for_all([](const AffectProblem& p) {
    const auto fused = testing_affect::run(p);
    const Terms t = run_terms(p, fused.target);
    const double room = device_fuses_multiply_add() ? 1e-6 : 0;
    const auto near = [&](float got, float want) {
      EXPECT_NEAR(got, want, room * (1 + std::abs(double{want})));
    };
    for (std::size_t i = 0; i < t.ce.size(); ++i) {
      near(t.ce[i], fused.terms[3 * i]);
      near(t.cs[i], fused.terms[3 * i + 1]);
      near(t.l2[i], fused.terms[3 * i + 2]);
    }
    const std::size_t valid = elements(p.state.valid, p.classes);
    EXPECT_EQ(largest_error(t.probability.data(), fused.probability.data(), valid), room);
    for (std::size_t i = 0; i < t.d_va.size(); ++i) near(t.d_va[i], fused.d_va[i]);
    double worst = 0;
    for (std::size_t i = 0; i < fused.d_logits.size(); ++i)
      worst = std::max(worst,
                       std::abs(double{t.d_ce[i]} + double{t.d_cs[i]} - double{fused.d_logits[i]}));
    EXPECT_LE(worst, 2e-6 / std::max(p.state.valid, 1));
  });
}

/// W of Eq. 5 for row i, where label and target choose it.
double row_weight(const AffectProblem& p, const std::vector<double>& q, std::size_t i) {
  const float* w = p.settings->class_weight;
  if (p.settings->mode == ClassWeightMode::none) return 1;
  if (p.settings->mode == ClassWeightMode::soft)
    return std::inner_product(q.begin(), q.end(), w, 0.0);
  const auto best = std::max_element(q.begin(), q.end()) - q.begin();
  return double{w[p.label[i] >= 0 ? p.label[i] : best]};
}

struct Direct {
  double ce = 0, cs = 0, l2 = 0;
};

/// Eq. 6-8 of row i, written out.
Direct direct_terms(const AffectProblem& p, const DeviceVector<float>& target, std::size_t i) {
  const auto k = static_cast<std::size_t>(p.classes);
  const auto q = widened(&target[i * k], p.classes), z = widened(&p.logits[i * k], p.classes);
  const double weight = row_weight(p, q, i);
  double sum = 0, dot = 0, qq = 0, pp = 0;
  for (const double x : z) sum += std::exp(x);
  Direct out;
  for (std::size_t c = 0; c < k; ++c) {
    const double prob = std::exp(z[c]) / sum;
    const bool per_class = p.settings->mode == ClassWeightMode::per_class;
    out.ce -= (per_class ? double{p.settings->class_weight[c]} : weight) * q[c] *
              std::pow(1 - prob, double{p.settings->focal_gamma}) * std::log(prob);
    dot += q[c] * prob;
    qq += q[c] * q[c];
    pp += prob * prob;
  }
  out.cs = weight * (1 - dot / std::max(std::sqrt(qq * pp), 1e-8));
  if (p.has_va[i] != 0)
    out.l2 = (p.settings->weighted_l2 ? weight : 1) *
             (std::pow(double{p.va_hat[2 * i]} - double{p.va[2 * i]}, 2) +
              std::pow(double{p.va_hat[2 * i + 1]} - double{p.va[2 * i + 1]}, 2));
  return out;
}

TEST(CudaLossTerms, EqualTheDirectFormulas) {
  for_all([](const AffectProblem& p) {
    const auto target = testing_affect::run(p).target;
    const Terms t = run_terms(p, target);
    for (int row = 0; row < p.state.valid; ++row) {
      const auto i = static_cast<std::size_t>(row);
      const Direct want = direct_terms(p, target, i);
      EXPECT_NEAR(t.ce[i], want.ce, 2e-6 * (1 + want.ce));
      EXPECT_NEAR(t.cs[i], want.cs, 3e-6);
      EXPECT_NEAR(t.l2[i], want.l2, 2e-6 * (1 + want.l2));
    }
  });
}

TEST(CudaLossTerms, ZerosBehindTheValidRows) {
  for_all([](const AffectProblem& p) {
    const Terms t = run_terms(p, testing_affect::run(p).target);
    const auto zero = [&](const DeviceVector<float>& x, int width) {
      return std::all_of(x.begin() + static_cast<std::ptrdiff_t>(elements(p.state.valid, width)),
                         x.end(), [](float value) { return value == 0; });
    };
    EXPECT_TRUE(zero(t.ce, 1) && zero(t.cs, 1) && zero(t.l2, 1));
    EXPECT_TRUE(zero(t.d_ce, p.classes) && zero(t.d_cs, p.classes) && zero(t.d_va, 2));
  });
}

TEST(CudaLossTerms, TheSameBitsInEveryOrder) {
  const AffectProblem p = make_problem(101, 90, 7, TargetKind::euclid, ClassWeightMode::soft);
  const auto target = testing_affect::run(p).target;
  const Terms first = run_terms(p, target);
  for_each_order([&] {
    const Terms t = run_terms(p, target);
    EXPECT_TRUE(same_bits(t.ce, first.ce) && same_bits(t.cs, first.cs) &&
                same_bits(t.l2, first.l2));
    EXPECT_TRUE(same_bits(t.d_ce, first.d_ce) && same_bits(t.d_cs, first.d_cs) &&
                same_bits(t.d_va, first.d_va));
  });
}

TEST(CudaLossTerms, ForeignLabelsCountAsNone) {
  for (const ClassWeightMode mode : kModes) {
    AffectProblem p = make_problem(8, 8, 8, TargetKind::gmm, mode);
    const auto target = testing_affect::run(p).target;
    p.label[0] = p.label[3] = p.label[6] = -1;
    const Terms want = run_terms(p, target);
    p.label[0] = 8;
    p.label[3] = 1 << 30;
    p.label[6] = -2;
    const Terms got = run_terms(p, target);
    EXPECT_TRUE(same_bits(got.ce, want.ce) && same_bits(got.cs, want.cs) &&
                same_bits(got.l2, want.l2));
  }
}

TEST(CudaSoftmax, ExtremeLogits) {
  for (const float size : {80.f, 1e30f, 3e38f}) {
    const DeviceVector<float> logits{size, -size, 0, size, size, size, -size, -size, -size};
    DeviceVector<float> p(9, kNan);
    gpu_kernels::softmax(logits.data(), 3, 3, p.data(), nullptr);
    const float third = 1.f / 3;
    const float low = std::exp(-size);
    const float want[] = {1, std::exp(-2 * size), low, third, third, third, third, third, third};
    for (std::size_t i = 0; i < 9; ++i) EXPECT_FLOAT_EQ(p[i], want[i]) << i;
  }
}

TEST(CudaSoftmax, RefusesClassesThatDoNotFit) {
  for (const int classes : {0, 33}) {
    EXPECT_THROW(gpu_kernels::softmax(nullptr, 1, classes, nullptr, nullptr), Error);
    const gpu_kernels::LossTerm a{nullptr, {}, 1, 1, classes};
    EXPECT_THROW(gpu_kernels::softmax_ce(a, nullptr, nullptr, nullptr, nullptr), Error);
    EXPECT_THROW(gpu_kernels::cosine(a, nullptr, nullptr, nullptr, nullptr), Error);
    EXPECT_THROW(gpu_kernels::weighted_l2(a, nullptr, nullptr, nullptr, nullptr), Error);
  }
}

}  // namespace
}  // namespace affuse
