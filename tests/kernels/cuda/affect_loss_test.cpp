// The fused loss kernel against Eq. 1-9 in double: every target, weight mode and odd size.
#include <algorithm>
#include <climits>
#include <functional>

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/kernels/cuda/affect_problem.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

using math::ClassWeightMode;
using math::TargetKind;
using testing_affect::AffectProblem;
using testing_affect::AffectResult;
using testing_affect::elements;
using testing_affect::in_double;
using testing_affect::kInf;
using testing_affect::kNan;
using testing_affect::largest_error;
using testing_affect::make_problem;
using testing_affect::reference_target;
using testing_affect::run;
using testing_affect::widened;

constexpr TargetKind kKinds[] = {TargetKind::gmm, TargetKind::euclid, TargetKind::noise_aware,
                                 TargetKind::onehot, TargetKind::given};
constexpr ClassWeightMode kModes[] = {ClassWeightMode::sample, ClassWeightMode::per_class,
                                      ClassWeightMode::soft, ClassWeightMode::none};

/// 0, below 1 and above.
float focal_gamma(int variant) {
  const float gammas[] = {0, .5f, 2, 0, 5};
  return gammas[variant % 5];
}

/// Against math::affect_loss<double> on the kernel's own targets.
void expect_losses(const AffectProblem& p, const AffectResult& r) {
  const int k = p.classes, valid = p.state.valid;
  const double share = double{p.state.loss_scale} * double{p.state.share} / std::max(valid, 1);
  std::vector<double> prob(elements(p.n, k)), d_logits(prob), d_va(elements(p.n, 2)),
      terms(elements(p.n, 3));
  math::LossTerms<double> mean;
  for (int row = 0; row < valid; ++row) {
    const auto i = static_cast<std::size_t>(row), first = elements(row, k);
    const auto z = widened(&p.logits[first], k), q = widened(&r.target[first], k);
    const auto va = widened(&p.va[2 * i], 2), va_hat = widened(&p.va_hat[2 * i], 2);
    const auto t = math::affect_loss<double>(*p.settings, z.data(), va_hat.data(),
                                             {q.data(), p.label[i], va.data(), p.has_va[i] != 0},
                                             share, &prob[first], &d_logits[first], &d_va[2 * i]);
    terms[3 * i] = t.ce;
    terms[3 * i + 1] = t.cs;
    terms[3 * i + 2] = t.l2;
    mean.ce += t.ce / valid;
    mean.cs += t.cs / valid;
    mean.l2 += t.l2 / valid;
  }
  EXPECT_LE(largest_error(r.probability.data(), prob.data(), prob.size()), 1e-6);
  EXPECT_LE(largest_error(r.terms.data(), terms.data(), terms.size()), 5e-5);  // terms up to 100
  EXPECT_LE(largest_error(r.d_logits.data(), d_logits.data(), prob.size()), 1e-5 * share);
  EXPECT_LE(largest_error(r.d_va.data(), d_va.data(), d_va.size()), 1e-5 * share);
  EXPECT_NEAR(r.state.loss_ce, mean.ce, 1e-6 * (1 + mean.ce));
  EXPECT_NEAR(r.state.loss_cs, mean.cs, 2e-6);
  EXPECT_NEAR(r.state.loss_l2, mean.l2, 1e-6 * (1 + mean.l2));
  EXPECT_DOUBLE_EQ(r.state.loss,
                   1.5 * r.state.loss_ce + 0.5 * r.state.loss_cs + 2 * r.state.loss_l2);
  EXPECT_EQ(r.state.found_inf, 0);
}

void expect_targets(const AffectProblem& p, const AffectResult& r) {
  const auto model = in_double(*p.model);
  double worst = 0;
  for (int row = 0; row < p.n; ++row) {
    const auto q = reference_target(p, *model, row);
    worst = std::max(worst, largest_error(&r.target[elements(row, p.classes)], q.data(), q.size()));
  }
  EXPECT_LE(worst, 2e-6);
}

void expect_zero_padding(const AffectProblem& p, const AffectResult& r) {
  const auto zero = [&](const DeviceVector<float>& x, int width) {
    return std::all_of(x.begin() + static_cast<std::ptrdiff_t>(elements(p.state.valid, width)),
                       x.end(), [](float value) { return value == 0 && !std::signbit(value); });
  };
  EXPECT_TRUE(zero(r.d_logits, p.classes) && zero(r.probability, p.classes));
  EXPECT_TRUE(zero(r.d_va, 2) && zero(r.terms, 3));
}

TEST(CudaAffectLoss, EqualsTheDoubleFormulas) {
  int variant = 0;
  for (const int k : {1, 2, 7, 8, 32})
    for (const auto& [n, valid] :
         {std::pair{1, 1}, {37, 37}, {37, 20}, {5, 0}, {256, 251}, {300, 290}})
      for (const TargetKind kind : kKinds)
        for (const ClassWeightMode mode : kModes) {
          SCOPED_TRACE(::testing::Message() << "K " << k << ", n " << n << ", valid " << valid
                                            << ", target " << int(kind) << ", mode " << int(mode));
          AffectProblem p = make_problem(n, valid, k, kind, mode);
          p.state.loss_scale = ++variant % 2 == 0 ? 1.f : 1024.f;
          p.state.share = variant % 5 == 0 ? .375f : 1.f;
          p.settings->weighted_l2 = variant % 3 != 0;
          p.model->knows_va = variant % 7 != 0;
          p.model->smoothing = variant % 4 == 0 ? .2f : 0.f;
          p.settings->focal_gamma = focal_gamma(variant);
          const AffectResult r = run(p);
          expect_targets(p, r);
          expect_losses(p, r);
          expect_zero_padding(p, r);
        }
}

TEST(CudaAffectLoss, TheSameBitsInEveryOrder) {
  for (const TargetKind kind : kKinds) {
    const AffectProblem p = make_problem(300, 290, 8, kind, ClassWeightMode::soft);
    const AffectResult first = run(p);
    for_each_order([&] { EXPECT_TRUE(run(p) == first); });
  }
}

TEST(CudaAffectLoss, LeavesTheRestOfTheState) {
  AffectProblem p = make_problem(7, 5, 8, TargetKind::gmm, ClassWeightMode::sample);
  p.state.step = 12;
  p.state.lr = .5f;
  p.state.averaged = 3;
  const StepState state = run(p).state;
  EXPECT_EQ(state.step, 12);
  EXPECT_EQ(state.lr, .5f);
  EXPECT_EQ(state.averaged, 3);
  EXPECT_EQ(state.valid, 5);
  EXPECT_EQ(state.loss_scale, 1);
}

TEST(CudaAffectLoss, NoValidSampleIsZeroLoss) {
  const AffectProblem p = make_problem(9, 0, 8, TargetKind::gmm, ClassWeightMode::sample);
  const AffectResult r = run(p);
  EXPECT_EQ(r.losses(), (std::vector<double>{0, 0, 0, 0}));
  EXPECT_EQ(r.state.found_inf, 0);
  expect_targets(p, r);
  EXPECT_EQ(run(make_problem(0, 0, 8, TargetKind::gmm, ClassWeightMode::sample)).losses(),
            r.losses());
}

TEST(CudaAffectLoss, ValidOutsideTheBatchStaysInsideTheArrays) {
  AffectProblem p = make_problem(37, 37, 8, TargetKind::euclid, ClassWeightMode::sample);
  const AffectResult all = run(p);
  p.state.valid = 1000;
  EXPECT_TRUE(run(p) == all);
  p.state.valid = 0;
  const AffectResult none = run(p);
  p.state.valid = -5;
  EXPECT_TRUE(run(p) == none);
}

TEST(CudaAffectLoss, ForeignLabelsCountAsNone) {
  for (const TargetKind kind : kKinds)
    for (const ClassWeightMode mode : kModes) {
      AffectProblem p = make_problem(37, 30, 8, kind, mode);
      for (const std::size_t i : {0u, 1u, 2u, 20u, 35u}) p.label[i] = -1;
      const AffectResult want = run(p);
      p.label[0] = 8;
      p.label[1] = INT_MAX;
      p.label[2] = -2;
      p.label[20] = INT_MIN;
      p.label[35] = 1 << 20;
      EXPECT_TRUE(run(p) == want);
    }
}

TEST(CudaAffectLoss, ExtremeLogitsAreFinite) {
  for (const float size : {80.f, 1e4f, 1e30f})
    for (const int top : {0, 3, 7}) {
      AffectProblem p = make_problem(16, 16, 8, TargetKind::given, ClassWeightMode::per_class);
      for (std::size_t i = 0; i < p.logits.size(); ++i)
        p.logits[i] = i % 8 == static_cast<std::size_t>(top) ? size : -size;
      const AffectResult r = run(p);
      EXPECT_EQ(r.state.found_inf, 0);
      const auto finite = [](float x) { return std::isfinite(x); };
      EXPECT_TRUE(std::all_of(r.terms.begin(), r.terms.end(), finite));
      for (std::size_t i = 0; i < p.logits.size(); ++i)
        EXPECT_EQ(r.probability[i], p.logits[i] > 0 ? 1.f : std::exp(-2 * size));
      for (std::size_t row = 0; row < 16; ++row) {
        double ce = 0;
        for (std::size_t k = 0; k < 8; ++k)
          if (k != static_cast<std::size_t>(top))
            ce += double{r.target[row * 8 + k]} * double{p.settings->class_weight[k]} * 2 *
                  double{size};
        EXPECT_NEAR(r.terms[3 * row], ce, 1e-6 * ce);
      }
    }
}

TEST(CudaAffectLoss, FindsWhatIsNotFinite) {
  const auto found = [](const std::function<void(AffectProblem&)>& spoil) {
    AffectProblem p = make_problem(300, 290, 8, TargetKind::gmm, ClassWeightMode::sample);
    spoil(p);
    return run(p).state.found_inf;
  };
  EXPECT_EQ(found([](AffectProblem&) {}), 0);
  for (const std::size_t row : {0u, 31u, 255u, 256u, 289u})
    for (const float bad : {kNan, kInf, -kInf}) {
      EXPECT_EQ(found([&](AffectProblem& p) { p.logits[8 * row] = bad; }), 1);
      EXPECT_EQ(found([&](AffectProblem& p) {
                  p.has_va[row] = 1;
                  p.va[2 * row] = p.va[2 * row + 1] = 0;
                  p.va_hat[2 * row + 1] = bad;
                }),
                1);
    }
}

TEST(CudaAffectLoss, FindsOneGradientThatOverflowsAlone) {
  const auto found = [](bool logits, float loss_scale) {
    AffectProblem p = make_problem(300, 290, 8, TargetKind::gmm, ClassWeightMode::sample);
    p.state.loss_scale = loss_scale;
    std::fill(p.label.begin(), p.label.end(), 0);
    p.has_va[289] = 0;
    if (logits) {  // of the last valid sample, whose class alone is heavy
      p.label[289] = 7;
      p.settings->class_weight[7] = 1e30f;
    } else {
      p.has_va[289] = 1;
      p.va[2 * 289] = p.va[2 * 289 + 1] = 0;
      p.va_hat[2 * 289 + 1] = 1e15f;
    }
    return run(p).state.found_inf;
  };
  EXPECT_EQ(found(true, 1), 0);
  EXPECT_EQ(found(true, 1e15f), 1);
  EXPECT_EQ(found(false, 1), 0);
  EXPECT_EQ(found(false, 1e30f), 1);
}

TEST(CudaAffectLoss, GradientsAreFiniteDifferencesOfTheLoss) {
  for (const ClassWeightMode mode : kModes) {
    AffectProblem p = make_problem(4, 3, 5, TargetKind::gmm, mode);
    p.state.loss_scale = 1024;
    p.model->smoothing = .1f;
    p.settings->focal_gamma = mode == ClassWeightMode::none ? 2.f : .5f;
    const AffectResult r = run(p);
    const auto difference = [&](float& x) {
      const float at = x, up = at + 1e-2f, down = at - 1e-2f;
      x = up;
      const double high = run(p).state.loss;
      x = down;
      const double low = run(p).state.loss;
      x = at;
      return 1024 * (high - low) / (double{up} - double{down});
    };
    for (std::size_t i = 0; i < 15; ++i)
      EXPECT_NEAR(r.d_logits[i], difference(p.logits[i]), 0.5) << i;
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(r.d_va[i], difference(p.va_hat[i]), 0.5) << i;
  }
}

TEST(CudaAffectLoss, RefusesClassesThatDoNotFit) {
  for (const int classes : {0, 33}) {
    AffectProblem p = make_problem(2, 2, 8, TargetKind::gmm, ClassWeightMode::none);
    p.classes = classes;
    EXPECT_THROW(run(p), Error);
  }
}

}  // namespace
}  // namespace affuse
