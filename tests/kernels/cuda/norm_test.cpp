// Batch norm's statistics and apply on the emulated GPU against double precision.
#include "kernels/cuda/norm.h"

#include <cmath>

#include "tests/kernels/cuda/nhwc.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using nhwc::Floats;
using nhwc::Maps;
using nhwc::odd_maps;
using nhwc::random;
using nhwc::random_floats;
using nhwc::rounding;
using nhwc::same_bits;
using nhwc::Tensor;
using nhwc::Worst;

constexpr float eps = 1e-5f;

struct Moments {
  double mean = 0, var = 0;
};

template <class T>
Moments moments(const Tensor<T>& x, int c, int valid) {
  const double count = valid * x.m.hw;
  Moments m;
  for (int n = 0; n < valid; ++n)
    for (int p = 0; p < x.m.hw; ++p) m.mean += x(n, p, c) / count;
  for (int n = 0; n < valid; ++n)
    for (int p = 0; p < x.m.hw; ++p) m.var += std::pow(x(n, p, c) - m.mean, 2) / count;
  return m;
}

/// What bn_statistics writes.
struct Statistics {
  Floats mean, invstd, running_mean, running_var;

  explicit Statistics(int c)
      : mean(static_cast<std::size_t>(c), NAN),
        invstd(mean),
        running_mean(random_floats(c, 8, -1, 1)),
        running_var(random_floats(c, 9, 0.5f, 2)) {}
  template <class T>
  void compute(Tensor<T>& x, int valid, float momentum = 0.1f) {
    DeviceValue<StepState> state;
    state->valid = valid;
    state->bn_momentum = momentum;
    DeviceVector<char> partial(gpu_kernels::bn_partial_bytes(x.m));
    gpu_kernels::bn_statistics<T>({x.ptr(), eps, partial.data(), mean.data(), invstd.data(),
                                   running_mean.data(), running_var.data(), state.get()},
                                  x.m, nullptr);
  }
};

template <class T>
class CudaBatchNorm : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaBatchNorm, Types);

TYPED_TEST(CudaBatchNorm, StatisticsAreThoseOfTheValidSamples) {
  Worst mean("mean"), invstd("invstd"), running("running");
  for (const Maps& m : odd_maps) {
    const int valid = std::max(1, m.n - 1);
    auto x = random<TypeParam>(m, 7, 3, 2);
    x.spoil_padding(valid);
    Statistics s(m.c);
    const Statistics before = s;
    s.compute(x, valid, 0.25f);
    const double count = valid * m.hw;
    for (int c = 0; c < m.c; ++c) {
      const auto k = static_cast<std::size_t>(c);
      const Moments want = moments(x, c, valid);
      const double unbiased = count > 1 ? want.var * count / (count - 1) : want.var;
      mean.see(s.mean[k], want.mean, 3);
      invstd.see(s.invstd[k] * std::sqrt(want.var + double{eps}), 1, 1);
      running.see(s.running_mean[k], 0.75 * before.running_mean[k] + 0.25 * want.mean, 3);
      running.see(s.running_var[k], 0.75 * before.running_var[k] + 0.25 * unbiased, 9);
    }
  }
  EXPECT_LT(mean.error(), 1e-6);
  EXPECT_LT(invstd.error(), 2e-6);
  EXPECT_LT(running.error(), 2e-6);
}

TYPED_TEST(CudaBatchNorm, StatisticsSurviveALargeMeanAndADarkFirstSample) {
  Worst mean("mean"), invstd("invstd");
  const Maps m{8, 6000, 8};
  for (const bool dark : {false, true}) {
    auto x = random<TypeParam>(m, 3, 1, 1000);
    for (int p = 0; dark && p < m.hw; ++p)
      for (int c = 0; c < m.c; ++c) x.set(0, p, c, 0);
    Statistics s(m.c);
    s.compute(x, m.n);
    for (int c = 0; c < m.c; ++c) {
      const auto k = static_cast<std::size_t>(c);
      const Moments want = moments(x, c, m.n);
      mean.see(s.mean[k], want.mean, 1000);
      invstd.see(s.invstd[k] * std::sqrt(want.var + double{eps}), 1, 1);
    }
  }
  EXPECT_LT(mean.error(), 1e-7);  // a unit in fp32's last place
  EXPECT_LT(invstd.error(), 1e-5);
}

TEST(CudaBatchNormStatistics, ConstantsHaveNoVariance) {
  const Maps m{2, 9, 16};
  Tensor<float> x(m);
  std::fill(x.data.begin(), x.data.end(), 0.1f);
  Statistics s(m.c);
  s.compute(x, m.n);
  for (const float v : s.mean) EXPECT_EQ(v, 0.1f);
  for (const float v : s.invstd) EXPECT_FLOAT_EQ(v, 1 / std::sqrt(eps));
}

TYPED_TEST(CudaBatchNorm, NoSampleMovesNothing) {
  const Maps m{2, 9, 24};
  auto x = random<TypeParam>(m, 1);
  x.spoil_padding(0);
  Statistics s(m.c);
  const Statistics before = s;
  s.compute(x, 0);
  for (const float v : s.mean) EXPECT_EQ(v, 0);
  for (const float v : s.invstd) EXPECT_FLOAT_EQ(v, 1 / std::sqrt(eps));
  EXPECT_EQ(s.running_mean, before.running_mean);
  EXPECT_EQ(s.running_var, before.running_var);
}

TEST(CudaBatchNormStatistics, RunningOnesAreOptionalAndNanSpreadsToItsChannelOnly) {
  const Maps m{3, 5, 16};
  auto x = random<float>(m, 1);
  x.set(1, 2, 3, NAN);
  DeviceValue<StepState> state;
  state->valid = 3;
  DeviceVector<char> partial(gpu_kernels::bn_partial_bytes(m));
  Floats mean(16), invstd(16);
  gpu_kernels::bn_statistics<float>({.x = x.ptr(),
                                     .eps = eps,
                                     .partial = partial.data(),
                                     .mean = mean.data(),
                                     .invstd = invstd.data(),
                                     .state = state.get()},
                                    m, nullptr);
  for (std::size_t c = 0; c < 16; ++c) {
    EXPECT_EQ(std::isnan(mean[c]), c == 3);
    EXPECT_EQ(std::isnan(invstd[c]), c == 3);
  }
}

TEST(CudaBatchNormStatistics, InvstdOfRunningVariance) {
  for (const int c : {8, 24, 512}) {
    const Floats var = random_floats(c, 2, 0, 4);
    Floats invstd(var.size());
    gpu_kernels::bn_invstd(var.data(), c, eps, invstd.data(), nullptr);
    for (std::size_t k = 0; k < var.size(); ++k)
      EXPECT_FLOAT_EQ(invstd[k], static_cast<float>(1 / std::sqrt(double{var[k]} + double{eps})));
  }
}

/// One application with all its arrays.
template <class T>
struct Unit {
  Tensor<T> x, residual, y;
  Floats mean, invstd, gamma, beta;
  DeviceVector<std::uint8_t> mask;

  explicit Unit(const Maps& m)
      : x(random<T>(m, 1, 2, 1)),
        residual(random<T>(m, 2)),
        y(m),
        mean(random_floats(m.c, 3, -1, 2)),
        invstd(random_floats(m.c, 4, 0.3f, 2)),
        gamma(random_floats(m.c, 5, -1.5f, 1.5f)),
        beta(random_floats(m.c, 6, -1, 1)),
        mask(gpu_kernels::mask_bytes(m), 0xA5) {}
  void apply(bool with_residual, bool relu, T* to) {
    gpu_kernels::bn_apply<T>({x.ptr(), mean.data(), invstd.data(), gamma.data(), beta.data(),
                              with_residual ? residual.ptr() : nullptr, relu, to, mask.data()},
                             x.m, nullptr);
  }
  bool alive(int n, int p, int c) const {
    const std::size_t i = x.place(n, p, c);
    return mask[i / 8] >> i % 8 & 1;
  }
};

TYPED_TEST(CudaBatchNorm, ApplyIsTheEquation) {
  Worst worst("y");
  for (const Maps& m : odd_maps) {
    for (const int kind : {0, 1, 2, 3}) {
      const bool with_residual = (kind & 1) != 0, relu = (kind & 2) != 0;
      Unit<TypeParam> u(m);
      u.apply(with_residual, relu, u.y.ptr());
      for (int n = 0; n < m.n; ++n)
        for (int p = 0; p < m.hw; ++p)
          for (int c = 0; c < m.c; ++c) {
            const auto k = static_cast<std::size_t>(c);
            const double normal = (u.x(n, p, c) - double{u.mean[k]}) * double{u.invstd[k]};
            const double extra = with_residual ? u.residual(n, p, c) : 0;
            double want = normal * double{u.gamma[k]} + double{u.beta[k]} + extra;
            const double arithmetic = 1e-6 * (std::abs(normal) + 2 + std::abs(extra));
            if (relu) want = std::max(want, 0.0);
            const double got = u.y(n, p, c);
            ASSERT_NEAR(got, want, rounding<TypeParam> * std::abs(want) + arithmetic) << kind;
            worst.see(got, want, std::max(1.0, std::abs(want)));
            ASSERT_EQ(u.alive(n, p, c), got > 0);
          }
    }
  }
}

TYPED_TEST(CudaBatchNorm, ApplyMayRunInPlaceAndWithoutAMask) {
  const Maps m{3, 49, 40};
  Unit<TypeParam> u(m), over_x(m), over_residual(m);
  u.apply(true, true, u.y.ptr());
  over_x.apply(true, true, over_x.x.ptr());
  EXPECT_TRUE(same_bits(over_x.x.data, u.y.data));
  over_residual.apply(true, true, over_residual.residual.ptr());
  EXPECT_TRUE(same_bits(over_residual.residual.data, u.y.data));
  Tensor<TypeParam> y(m);
  gpu_kernels::bn_apply<TypeParam>({.x = u.x.ptr(),
                                    .mean = u.mean.data(),
                                    .invstd = u.invstd.data(),
                                    .gamma = u.gamma.data(),
                                    .beta = u.beta.data(),
                                    .residual = u.residual.ptr(),
                                    .y = y.ptr()},
                                   m, nullptr);
  EXPECT_TRUE(same_bits(y.data, u.y.data));
}

TYPED_TEST(CudaBatchNorm, ReluKeepsNanAliveAndTheMaskIsOfTheStoredValue) {
  const Maps m{1, 3, 8};
  Unit<TypeParam> u(m);
  u.x.set(0, 1, 2, NAN);
  u.mean.assign(8, 0);
  u.invstd.assign(8, 1);
  u.gamma.assign(8, 1e-30f);  // times 1e-12: below every number of fp16
  u.beta.assign(8, 0);
  u.apply(false, true, u.y.ptr());
  EXPECT_TRUE(std::isnan(u.y(0, 1, 2)));
  EXPECT_TRUE(u.alive(0, 1, 2));
  for (int c = 0; c < 8; ++c) EXPECT_EQ(u.alive(0, 0, c), u.y(0, 0, c) > 0);
  EXPECT_EQ(std::any_of(u.y.data.begin(), u.y.data.begin() + 8,
                        [](TypeParam y) { return to_float(y) > 0; }),
            (!std::is_same_v<TypeParam, Half>));
}

TYPED_TEST(CudaBatchNorm, BitsDoNotDependOnTheOrder) {
  const Maps m{4, 120, 24};
  Floats mean, invstd;
  DeviceVector<TypeParam> y;
  for_each_order([&] {
    auto x = random<TypeParam>(m, 7, 3, 2);
    Statistics s(m.c);
    s.compute(x, 3);
    Unit<TypeParam> u(m);
    u.apply(true, true, u.residual.ptr());
    if (mean.empty()) {
      mean = s.mean;
      invstd = s.invstd;
      y = u.residual.data;
    }
    EXPECT_TRUE(same_bits(s.mean, mean));
    EXPECT_TRUE(same_bits(s.invstd, invstd));
    EXPECT_TRUE(same_bits(u.residual.data, y));
  });
}

}  // namespace
}  // namespace affuse
