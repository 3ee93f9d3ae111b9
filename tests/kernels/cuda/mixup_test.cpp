// Mixup on the emulated GPU: the blend of images, and the losses of mixed samples against the
// blends of both targets' losses in double.
#include "kernels/cuda/mixup.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/affect_problem.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = AFFUSE_CUDA_NAMESPACE;
using math::ClassWeightMode;
using math::TargetKind;
using testing_affect::AffectProblem;
using testing_affect::AffectResult;
using testing_affect::elements;
using testing_affect::kNan;
using testing_affect::make_problem;
using testing_affect::same_bits;
using testing_affect::widened;

/// Rows of random numbers; from `valid` on NaN.
template <class T>
DeviceVector<T> images(int n, int valid, std::size_t each) {
  std::mt19937 g(static_cast<unsigned>(n));
  std::normal_distribution<float> normal(0, 2);
  DeviceVector<T> x(static_cast<std::size_t>(n) * each);
  for (std::size_t i = 0; i < x.size(); ++i)
    from_float(i < static_cast<std::size_t>(std::clamp(valid, 0, n)) * each ? normal(g) : kNan,
               x[i]);
  return x;
}

template <class T>
DeviceVector<T> mixed(DeviceVector<T> x, int n, int valid, float mix) {
  DeviceValue<StepState> state;
  state->valid = valid;
  state->mix = mix;
  gpu_kernels::mixup(gpu_kernels::MixupBatch<T>{.x = x.data(),
                                                .n = n,
                                                .elements = x.size() / static_cast<std::size_t>(n),
                                                .state = state.get()},
                     nullptr);
  return x;
}

template <class T>
void expect_blended(int n, int valid, std::size_t packs, float mix) {
  SCOPED_TRACE(::testing::Message()
               << valid << " of " << n << " rows of " << packs << " packs, mix " << mix);
  const std::size_t each = packs * 16 / sizeof(T);
  const DeviceVector<T> before = images<T>(n, valid, each);
  const DeviceVector<T> x = mixed(before, n, valid, mix);
  const auto rows = static_cast<std::size_t>(valid);
  const double unit = std::is_same_v<T, float> ? 1e-6 : std::is_same_v<T, Half> ? 1e-3 : 4e-3;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / each;
    if (row >= rows || rows - 1 - row == row) {
      ASSERT_EQ(std::memcmp(&x[i], &before[i], sizeof(T)), 0) << i;
      continue;
    }
    const double own = double{to_float(before[i])},
                 other = double{to_float(before[(rows - 1 - row) * each + i % each])};
    const double m = double{mix}, want = m * own + (1 - m) * other;
    ASSERT_NEAR(double{to_float(x[i])}, want, unit * (std::abs(own) + std::abs(other))) << i;
  }
}

template <class T>
class CudaMixup : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaMixup, Types);

TYPED_TEST(CudaMixup, BlendsEachRowWithItsMirror) {
  for (const auto& [n, valid] : {std::pair{1, 1}, {2, 2}, {3, 2}, {5, 5}, {6, 5}, {4, 0}})
    for (const std::size_t packs : {1u, 255u, 1024u, 1025u, 2311u})
      for (const float mix : {0.f, 0.3f}) expect_blended<TypeParam>(n, valid, packs, mix);
}

TYPED_TEST(CudaMixup, TheSameBitsInEveryOrder) {
  const auto before = images<TypeParam>(5, 4, 1100 * 16 / sizeof(TypeParam));
  const auto first = mixed(before, 5, 4, .3f);
  EXPECT_FALSE(same_bits(first, before));
  for_each_order([&] { EXPECT_TRUE(same_bits(mixed(before, 5, 4, .3f), first)); });
}

TYPED_TEST(CudaMixup, ShareOneChangesNoBitAndValidOutsideStaysInside) {
  const auto before = images<TypeParam>(4, 3, 16);
  EXPECT_TRUE(same_bits(mixed(before, 4, 4, 1), before));
  const auto full = images<TypeParam>(4, 4, 16);
  EXPECT_TRUE(same_bits(mixed(full, 4, 1000, .3f), mixed(full, 4, 4, .3f)));
  EXPECT_TRUE(same_bits(mixed(full, 4, -5, .3f), full));
}

/// math::affect_loss<double> of row `row` against the target of row `of`.
struct Against {
  std::vector<double> p, d_logits, d_va;
  math::LossTerms<double> terms;

  Against(const AffectProblem& b, const AffectResult& r, int row, int of, double scale)
      : p(static_cast<std::size_t>(b.classes)), d_logits(p), d_va(2) {
    const auto i = static_cast<std::size_t>(row), j = static_cast<std::size_t>(of);
    const auto z = widened(&b.logits[elements(row, b.classes)], b.classes),
               q = widened(&r.target[elements(of, b.classes)], b.classes);
    const auto va = widened(&b.va[2 * j], 2), va_hat = widened(&b.va_hat[2 * i], 2);
    terms = math::affect_loss<double>(*b.settings, z.data(), va_hat.data(),
                                      {q.data(), b.label[j], va.data(), b.has_va[j] != 0}, scale,
                                      p.data(), d_logits.data(), d_va.data());
  }
};

void expect_mixed_losses(const AffectProblem& b) {
  const AffectResult r = run(b);
  const int valid = b.state.valid;
  const double m = double{b.state.mix};
  const double scale = double{b.state.loss_scale} * double{b.state.share} / std::max(valid, 1);
  const auto blend = [m](double own, double other) { return m * own + (1 - m) * other; };
  double ce = 0, cs = 0, l2 = 0;
  for (int row = 0; row < valid; ++row) {
    const Against own(b, r, row, row, scale), other(b, r, row, valid - 1 - row, scale);
    const auto i = static_cast<std::size_t>(row);
    for (std::size_t k = 0; k < own.p.size(); ++k) {
      const std::size_t at = i * own.p.size() + k;
      EXPECT_NEAR(r.probability[at], own.p[k], 1e-6);
      EXPECT_NEAR(r.d_logits[at], blend(own.d_logits[k], other.d_logits[k]), 1e-5 * scale);
    }
    for (std::size_t k = 0; k < 2; ++k)
      EXPECT_NEAR(r.d_va[2 * i + k], blend(own.d_va[k], other.d_va[k]), 1e-5 * scale);
    ce += blend(own.terms.ce, other.terms.ce) / valid;
    cs += blend(own.terms.cs, other.terms.cs) / valid;
    l2 += blend(own.terms.l2, other.terms.l2) / valid;
  }
  EXPECT_NEAR(r.state.loss_ce, ce, 1e-6 * (1 + ce));
  EXPECT_NEAR(r.state.loss_cs, cs, 2e-6);
  EXPECT_NEAR(r.state.loss_l2, l2, 1e-6 * (1 + l2));
  EXPECT_EQ(r.state.found_inf, 0);
}

TEST(CudaMixupLoss, EqualsTheBlendOfBothTargetsLosses) {
  int variant = 0;
  for (const int k : {1, 7, 8, 32})
    for (const auto& [n, valid] : {std::pair{1, 1}, {37, 37}, {37, 20}, {5, 0}, {70, 64}})
      for (const TargetKind kind : {TargetKind::gmm, TargetKind::euclid, TargetKind::noise_aware,
                                    TargetKind::onehot, TargetKind::given})
        for (const ClassWeightMode mode : {ClassWeightMode::sample, ClassWeightMode::per_class,
                                           ClassWeightMode::soft, ClassWeightMode::none}) {
          SCOPED_TRACE(::testing::Message() << "K " << k << ", n " << n << ", valid " << valid
                                            << ", target " << int(kind) << ", mode " << int(mode));
          AffectProblem p = make_problem(n, valid, k, kind, mode);
          p.state.mix = ++variant % 3 == 0 ? 0.f : variant % 3 == 1 ? .3f : .9f;
          p.state.loss_scale = variant % 2 == 0 ? 1.f : 1024.f;
          p.state.share = variant % 5 == 0 ? .375f : 1.f;
          expect_mixed_losses(p);
        }
}

TEST(CudaMixupLoss, TheSameBitsInEveryOrderAndOnePartnersForeignLabelIsNone) {
  AffectProblem p = make_problem(70, 64, 8, TargetKind::gmm, ClassWeightMode::soft);
  p.state.mix = .3f;
  p.label[60] = -1;
  const AffectResult first = run(p);
  for_each_order([&] { EXPECT_TRUE(run(p) == first); });
  p.label[60] = 1 << 20;
  EXPECT_TRUE(run(p) == first);
}

}  // namespace
}  // namespace affuse
