// Batch norm backward on the emulated GPU against double precision and finite differences.
#include <cmath>

#include "kernels/cuda/norm.h"
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

/// Which of the optional arrays a unit has.
struct Kind {
  bool mask, fork, keep;  ///< ReLU's, dy2, g
};
constexpr Kind kinds[] = {{false, false, false}, {true, false, false}, {true, true, false},
                          {true, true, true},    {true, false, true},  {false, true, true}};

template <class T>
struct Unit {
  Kind kind;
  Tensor<T> x, dy, dy2, g, dx;
  Floats mean, invstd, gamma, dgamma, dbeta;
  DeviceVector<std::uint8_t> mask;
  DeviceVector<char> partial;
  DeviceValue<StepState> state;

  Unit(const Maps& m, int valid, Kind k)
      : kind(k),
        x(random<T>(m, 1, 2, 1)),
        dy(random<T>(m, 2)),
        dy2(random<T>(m, 3)),
        g(random<T>(m, 4)),
        dx(random<T>(m, 5)),
        mean(random_floats(m.c, 6, 0.8f, 1.2f)),
        invstd(random_floats(m.c, 7, 0.4f, 0.6f)),
        gamma(random_floats(m.c, 8, -1.5f, 1.5f)),
        dgamma(gamma.size(), NAN),
        dbeta(gamma.size(), NAN),
        mask(gpu_kernels::mask_bytes(m)),
        partial(gpu_kernels::bn_partial_bytes(m)) {
    std::mt19937 engine(9);
    for (std::uint8_t& byte : mask) byte = static_cast<std::uint8_t>(engine());
    gamma[1] = 0;
    state->valid = valid;
    for (auto* t : {&x, &dy, &dy2}) t->spoil_padding(valid);
  }
  gpu_kernels::BnBackward<T> arguments() {
    return {.dy = dy.ptr(),
            .dy2 = kind.fork ? dy2.ptr() : nullptr,
            .mask = kind.mask ? mask.data() : nullptr,
            .x = x.ptr(),
            .mean = mean.data(),
            .invstd = invstd.data(),
            .gamma = gamma.data(),
            .partial = partial.data(),
            .g = kind.keep ? g.ptr() : nullptr,
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dx = dx.ptr(),
            .state = state.get()};
  }
  void run(const gpu_kernels::BnBackward<T>& a) {
    gpu_kernels::bn_backward_sums(a, x.m, nullptr);
    gpu_kernels::bn_backward_apply(a, x.m, nullptr);
  }
  /// The masked gradient, rounded as stored where it is kept.
  double arriving(int n, int p, int c) const {
    const std::size_t i = x.place(n, p, c);
    if (kind.mask && (mask[i / 8] >> i % 8 & 1) == 0) return 0;
    const double sum = dy(n, p, c) + (kind.fork ? dy2(n, p, c) : 0);
    if (!kind.keep) return sum;
    T stored;
    from_float(static_cast<float>(sum), stored);
    return static_cast<double>(to_float(stored));
  }
};

template <class T>
class CudaBatchNormBackward : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaBatchNormBackward, Types);

template <class T>
void expect_equation(const Unit<T>& u, const Unit<T>& before, Worst& sums, Worst& gradient) {
  const Maps& m = u.x.m;
  const int valid = u.state->valid;
  const double count = valid * m.hw;
  for (int c = 0; c < m.c; ++c) {
    const auto k = static_cast<std::size_t>(c);
    const auto normal = [&](int n, int p) {
      return (u.x(n, p, c) - double{u.mean[k]}) * double{u.invstd[k]};
    };
    double dbeta = 0, dgamma = 0;
    for (int n = 0; n < valid; ++n)
      for (int p = 0; p < m.hw; ++p) {
        dbeta += before.arriving(n, p, c);
        dgamma += before.arriving(n, p, c) * normal(n, p);
      }
    sums.see(u.dbeta[k], dbeta, std::sqrt(count));
    sums.see(u.dgamma[k], dgamma, std::sqrt(count));
    const double scale = double{u.gamma[k]} * double{u.invstd[k]};
    for (int n = 0; n < m.n; ++n)
      for (int p = 0; p < m.hw; ++p) {
        const bool real = n < valid;
        const double g = real ? before.arriving(n, p, c) : 0;
        const double want = real ? scale * (g - dbeta / count - normal(n, p) * dgamma / count) : 0;
        const double room = 2e-6 * (std::abs(scale) * (std::abs(g) + 4)) + 0x1p-25;  // subnormal
        ASSERT_NEAR(u.dx(n, p, c), want, rounding<T> * std::abs(want) + room) << n << " " << c;
        gradient.see(u.dx(n, p, c), want, std::abs(want) + std::abs(scale) + 1e-30);
        ASSERT_TRUE(!u.kind.keep || u.g(n, p, c) == g) << n << " " << p << " " << c;
      }
  }
}

TYPED_TEST(CudaBatchNormBackward, IsTheEquation) {
  Worst sums("sums"), gradient("dx");
  for (const Maps& m : odd_maps)
    for (const Kind kind : kinds) {
      Unit<TypeParam> u(m, std::max(1, m.n - 1), kind);
      const auto before = u;
      u.run(u.arguments());
      expect_equation(u, before, sums, gradient);
    }
  EXPECT_LT(sums.error(), 4e-6);
  EXPECT_LT(gradient.error(), 2 * rounding<TypeParam>);
}

TYPED_TEST(CudaBatchNormBackward, MayRunInPlace) {
  const Maps m{3, 49, 40};
  Unit<TypeParam> u(m, 2, {true, true, true});
  const Unit<TypeParam> fresh = u;
  u.run(u.arguments());
  for (const bool second : {false, true}) {
    auto v = fresh;  // as training does: g over an arriving gradient, dx over x
    auto a = v.arguments();
    a.g = second ? v.dy2.ptr() : v.dy.ptr();
    a.dx = v.x.ptr();
    v.run(a);
    EXPECT_TRUE(same_bits((second ? v.dy2 : v.dy).data, u.g.data));
    EXPECT_TRUE(same_bits(v.x.data, u.dx.data));
    EXPECT_TRUE(same_bits(v.dgamma, u.dgamma));
  }
  auto v = fresh;
  auto a = v.arguments();
  a.dx = v.g.ptr();
  v.run(a);
  EXPECT_TRUE(same_bits(v.g.data, u.dx.data));

  u = fresh;
  u.kind.keep = false;
  u.run(u.arguments());
  for (const bool second : {false, true}) {
    v = fresh;
    a = v.arguments();
    a.g = nullptr;
    a.dx = second ? v.dy2.ptr() : v.dy.ptr();
    v.run(a);
    EXPECT_TRUE(same_bits((second ? v.dy2 : v.dy).data, u.dx.data));
  }
}

TYPED_TEST(CudaBatchNormBackward, NoSampleGivesZeros) {
  Unit<TypeParam> u({2, 9, 24}, 0, {true, true, true});
  u.run(u.arguments());
  for (const float v : u.dgamma) EXPECT_EQ(v, 0);
  for (const float v : u.dbeta) EXPECT_EQ(v, 0);
  for (const auto* t : {&u.dx, &u.g})
    for (const TypeParam v : t->data) EXPECT_EQ(to_float(v), 0);
}

TYPED_TEST(CudaBatchNormBackward, BitsDoNotDependOnTheOrder) {
  const Unit<TypeParam> fresh({4, 120, 24}, 3, {true, true, true});
  DeviceVector<TypeParam> dx;
  Floats dgamma, dbeta;
  for_each_order([&] {
    auto u = fresh;
    auto a = u.arguments();
    a.g = u.dy.ptr();
    a.dx = u.x.ptr();
    u.run(a);
    if (dx.empty()) {
      dx = u.x.data;
      dgamma = u.dgamma;
      dbeta = u.dbeta;
    }
    EXPECT_TRUE(same_bits(u.x.data, dx));
    EXPECT_TRUE(same_bits(u.dgamma, dgamma));
    EXPECT_TRUE(same_bits(u.dbeta, dbeta));
  });
}

/// A training unit in fp32: statistics, apply with residual and ReLU, and its loss sum dy y.
struct Training {
  Unit<float> u;
  Tensor<float> residual, y;
  Floats beta;

  Training(const Maps& m, int valid)
      : u(m, valid, {true, false, false}),
        residual(random<float>(m, 21)),
        y(m),
        beta(random_floats(m.c, 22, -0.5f, 0.5f)) {}
  void run() {
    const Maps& m = u.x.m;
    gpu_kernels::bn_statistics<float>({.x = u.x.ptr(),
                                       .eps = eps,
                                       .partial = u.partial.data(),
                                       .mean = u.mean.data(),
                                       .invstd = u.invstd.data(),
                                       .state = u.state.get()},
                                      m, nullptr);
    gpu_kernels::bn_apply<float>({u.x.ptr(), u.mean.data(), u.invstd.data(), u.gamma.data(),
                                  beta.data(), residual.ptr(), true, y.ptr(), u.mask.data()},
                                 m, nullptr);
    u.run(u.arguments());
  }
  /// The loss in double as a function of one channel's inputs x [valid hw].
  double loss(const std::vector<double>& x, int c, double gamma, double shift) const {
    const int hw = u.x.m.hw;
    double mean = 0, var = 0, sum = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) var += (v - mean) * (v - mean) / static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const int n = static_cast<int>(i) / hw, p = static_cast<int>(i) % hw;
      const double v = (x[i] - mean) / std::sqrt(var + double{eps}) * gamma + shift;
      sum += u.dy(n, p, c) * std::max(v + residual(n, p, c), 0.0);
    }
    return sum;
  }
};

TEST(CudaBatchNormTraining, GradientsAreFiniteDifferences) {
  const Maps m{4, 9, 16};
  Training t(m, 3);
  t.run();
  for (const int c : {0, 1, 5, 15}) {
    const auto k = static_cast<std::size_t>(c);
    std::vector<double> x;
    for (int n = 0; n < 3; ++n)
      for (int p = 0; p < m.hw; ++p) x.push_back(t.u.x(n, p, c));
    const double h = 1e-6, gamma = t.u.gamma[k], beta = t.beta[k];
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const double slope = (t.loss(up, c, gamma, beta) - t.loss(down, c, gamma, beta)) / (2 * h);
      const int n = static_cast<int>(i) / m.hw, p = static_cast<int>(i) % m.hw;
      EXPECT_NEAR(t.u.dx(n, p, c), slope, 1e-5);
    }
    EXPECT_NEAR(t.u.dgamma[k],
                (t.loss(x, c, gamma + h, beta) - t.loss(x, c, gamma - h, beta)) / (2 * h), 1e-5);
    EXPECT_NEAR(t.u.dbeta[k],
                (t.loss(x, c, gamma, beta + h) - t.loss(x, c, gamma, beta - h)) / (2 * h), 1e-5);
  }
}

}  // namespace
}  // namespace affuse
