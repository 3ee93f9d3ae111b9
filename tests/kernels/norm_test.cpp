// Batch norm on blocked maps against a double-precision reference.
#include "kernels/cpu/norm.h"

#include <limits>

#include "engine/error.h"
#include "tests/kernels/blocked.h"

namespace affuse::cpu {
namespace {

using blocked::random;
using blocked::random_vector;
using blocked::rounding;
using blocked::same_bits;
using blocked::Tensor;
using blocked::Threads;

constexpr float eps = 1e-5f;

struct Moments {
  double mean, var;
};

template <class T>
Moments moments(const Tensor<T>& x, int c, int valid) {
  double sum = 0, squares = 0;
  const double count = valid * x.m.hw;
  for (int n = 0; n < valid; ++n) {
    for (int p = 0; p < x.m.hw; ++p) sum += x(n, c, p);
  }
  for (int n = 0; n < valid; ++n) {
    for (int p = 0; p < x.m.hw; ++p) squares += std::pow(x(n, c, p) - sum / count, 2);
  }
  return {sum / count, squares / count};
}

/// One unit with all its arrays.
template <class T>
struct Unit {
  Tensor<T> x, residual, y, dy, dx, d_residual;
  std::vector<float> gamma, beta, mean, var, invstd, dgamma, dbeta;

  explicit Unit(const Maps& m, unsigned seed = 1)
      : x(random<T>(m, seed, 2, 1)),
        residual(random<T>(m, seed + 1)),
        y(m),
        dy(random<T>(m, seed + 2)),
        dx(m),
        d_residual(random<T>(m, seed + 3)),
        gamma(random_vector(static_cast<std::size_t>(m.c), seed + 4, -1.5f, 1.5f)),
        beta(random_vector(static_cast<std::size_t>(m.c), seed + 5, -1, 1)),
        mean(gamma.size()),
        var(mean),
        invstd(mean),
        dgamma(mean),
        dbeta(mean) {}

  void forward(bool with_residual, bool relu, int valid) {
    bn_forward<T>({x.ptr(), gamma.data(), beta.data(), with_residual ? residual.ptr() : nullptr,
                   relu, eps, y.ptr(), mean.data(), var.data(), invstd.data()},
                  x.m, valid);
  }
  BnBackward<T> gradients(bool relu, bool fork, Write write = Write::overwrite) {
    return {dy.ptr(),
            x.ptr(),
            relu ? y.ptr() : nullptr,
            mean.data(),
            invstd.data(),
            gamma.data(),
            dx.ptr(),
            dgamma.data(),
            dbeta.data(),
            fork ? d_residual.ptr() : nullptr,
            write};
  }
  double normal(int n, int c, int p) const {
    const auto k = static_cast<std::size_t>(c);
    return (x(n, c, p) - double{mean[k]}) * double{invstd[k]};
  }
};

template <class T>
class BatchNormKernel : public testing::Test {};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(BatchNormKernel, Storage);

TYPED_TEST(BatchNormKernel, StatisticsAreThoseOfTheValidSamples) {
  for (const Maps& m : blocked::odd_maps) {
    const int valid = std::max(1, m.n - 1);
    auto x = random<TypeParam>(m, 7, 1, 100);
    for (int c = 0; valid < m.n && c < m.c; ++c) x.set(valid, c, m.hw - 1, NAN);
    std::vector<float> mean(static_cast<std::size_t>(m.c)), var(mean);
    bn_statistics(x.ptr(), m, valid, mean.data(), var.data());
    for (int c = 0; c < m.c; ++c) {
      const Moments want = moments(x, c, valid);
      EXPECT_NEAR(mean[static_cast<std::size_t>(c)], want.mean, 1e-5 * 100) << m.hw;
      EXPECT_NEAR(var[static_cast<std::size_t>(c)], want.var, 1e-5 * want.var + 1e-8) << m.hw;
    }
  }
}

TEST(BatchNormStatistics, SurviveALargeMeanAndADarkFirstSample) {
  const Maps m{16, 8, 4096, 8};
  for (const bool dark : {false, true}) {
    auto x = random<float>(m, 3, 1, 1000);
    for (int p = 0; dark && p < m.hw; ++p) x.set(0, 0, p, 0);
    std::vector<float> mean(8), var(8);
    bn_statistics(x.ptr(), m, m.n, mean.data(), var.data());
    for (int c = 0; c < 8; ++c) {
      const Moments want = moments(x, c, m.n);
      EXPECT_NEAR(var[static_cast<std::size_t>(c)], want.var, 1e-5 * want.var) << c;
      EXPECT_NEAR(mean[static_cast<std::size_t>(c)], want.mean, 3e-4) << c;  // 5 ulp
    }
  }
}

TYPED_TEST(BatchNormKernel, ForwardIsTheEquation) {
  for (const Maps& m : blocked::odd_maps) {
    for (const int kind : {0, 1, 2, 3}) {
      const bool with_residual = kind & 1, relu = kind & 2;
      Unit<TypeParam> u(m);
      u.forward(with_residual, relu, std::max(1, m.n - 1));
      for (int n = 0; n < m.n; ++n) {
        for (int c = 0; c < m.c; ++c) {
          const auto k = static_cast<std::size_t>(c);
          EXPECT_NEAR(u.invstd[k], 1 / std::sqrt(double{u.var[k]} + 1e-5), 1e-4 * u.invstd[k]);
          for (int p = 0; p < m.hw; ++p) {
            const double size = std::abs(u.normal(n, c, p)) + 2;
            double want = u.normal(n, c, p) * double{u.gamma[k]} + double{u.beta[k]};
            if (with_residual) want += u.residual(n, c, p);
            const double room = rounding<TypeParam> * (size + std::abs(want));
            if (relu) want = std::max(want, 0.0);
            ASSERT_NEAR(u.y(n, c, p), want, room) << m.hw << " kind " << kind;
          }
        }
      }
    }
  }
}

TYPED_TEST(BatchNormKernel, OneScheduleGivesTheBitsOfThreeFunctions) {
  for (const Maps& m : {Maps{3, 48, 9, 16}, Maps{8, 24, 2100, 8}}) {
    Unit<TypeParam> u(m);
    u.forward(true, true, m.n - 1);
    Unit<TypeParam> v(m);
    bn_statistics(v.x.ptr(), m, m.n - 1, v.mean.data(), v.var.data());
    bn_invstd(v.var.data(), m.c, eps, v.invstd.data());
    bn_apply(v.x.ptr(), m, {v.mean.data(), v.invstd.data(), v.gamma.data(), v.beta.data()},
             v.residual.ptr(), true, v.residual.ptr());  // in place
    EXPECT_TRUE(same_bits(u.y.data, v.residual.data));
    EXPECT_TRUE(same_bits(u.mean, v.mean));
    EXPECT_TRUE(same_bits(u.var, v.var));
    EXPECT_TRUE(same_bits(u.invstd, v.invstd));
  }
}

TEST(BatchNormForward, ReluKeepsNan) {
  Unit<float> u({2, 8, 5, 8});
  u.x.set(0, 3, 2, NAN);
  u.forward(false, true, 2);
  for (int p = 0; p < 5; ++p) EXPECT_TRUE(std::isnan(u.y(1, 3, p)));
  EXPECT_FALSE(std::isnan(u.y(1, 4, 0)));
}

/// sum over the valid samples of dy * relu-masked y, as a function of one input.
double loss(const Unit<float>& u, const std::vector<double>& x, int c, int valid, double gamma,
            double beta) {
  const int hw = u.x.m.hw;
  double mean = 0, var = 0, sum = 0;
  for (double v : x) mean += v / static_cast<double>(x.size());
  for (double v : x) var += (v - mean) * (v - mean) / static_cast<double>(x.size());
  for (int n = 0; n < valid; ++n) {
    for (int p = 0; p < hw; ++p) {
      const double v = x[static_cast<std::size_t>(n * hw + p)];
      const double y = (v - mean) / std::sqrt(var + 1e-5) * gamma + beta + u.residual(n, c, p);
      sum += u.dy(n, c, p) * std::max(y, 0.0);
    }
  }
  return sum;
}

TEST(BatchNormBackward, IsTheFiniteDifference) {
  const Maps m{4, 16, 9, 8};
  const int valid = 3;
  Unit<float> u(m);
  u.forward(true, true, valid);
  bn_backward(u.gradients(true, false), m, valid);
  for (const int c : {0, 5, 15}) {
    const auto k = static_cast<std::size_t>(c);
    std::vector<double> x;
    for (int n = 0; n < valid; ++n) {
      for (int p = 0; p < m.hw; ++p) x.push_back(u.x(n, c, p));
    }
    const double h = 1e-6, gamma = double{u.gamma[k]}, beta = double{u.beta[k]};
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const double slope =
          (loss(u, up, c, valid, gamma, beta) - loss(u, down, c, valid, gamma, beta)) / (2 * h);
      EXPECT_NEAR(u.dx(static_cast<int>(i) / m.hw, c, static_cast<int>(i) % m.hw), slope, 1e-5);
    }
    const auto slope = [&](double dg, double db) {
      return (loss(u, x, c, valid, gamma + dg, beta + db) -
              loss(u, x, c, valid, gamma - dg, beta - db)) /
             (2 * h);
    };
    EXPECT_NEAR(u.dgamma[k], slope(h, 0), 1e-5);
    EXPECT_NEAR(u.dbeta[k], slope(0, h), 1e-5);
  }
}

TYPED_TEST(BatchNormKernel, BackwardIsTheEquation) {
  for (const Maps& m : blocked::odd_maps) {
    for (const bool relu : {false, true}) {
      for (const Write write : {Write::overwrite, Write::accumulate}) {
        const int valid = std::max(1, m.n - 1);
        const double count = valid * m.hw;
        Unit<TypeParam> u(m);
        u.forward(true, relu, valid);
        const Tensor<TypeParam> before = u.d_residual;
        bn_backward(u.gradients(relu, true, write), m, valid);
        for (int c = 0; c < m.c; ++c) {
          const auto k = static_cast<std::size_t>(c);
          const auto g = [&](int n, int p) {
            return relu && u.y(n, c, p) <= 0 ? 0.0 : u.dy(n, c, p);
          };
          double dbeta = 0, dgamma = 0;
          for (int n = 0; n < valid; ++n) {
            for (int p = 0; p < m.hw; ++p) {
              dbeta += g(n, p);
              dgamma += g(n, p) * u.normal(n, c, p);
            }
          }
          EXPECT_NEAR(u.dbeta[k], dbeta, 1e-5 * std::sqrt(count));
          EXPECT_NEAR(u.dgamma[k], dgamma, 2e-5 * std::sqrt(count) + 2e-5 * std::abs(dgamma));
          const double scale = double{u.gamma[k]} * double{u.invstd[k]};
          for (int n = 0; n < m.n; ++n) {
            for (int p = 0; p < m.hw; ++p) {
              const double want =
                  n >= valid
                      ? 0
                      : scale * (g(n, p) - dbeta / count - u.normal(n, c, p) * dgamma / count);
              ASSERT_NEAR(u.dx(n, c, p), want,
                          rounding<TypeParam> * (std::abs(want) + 2 * std::abs(scale)));
              double fork = n >= valid ? 0 : g(n, p);
              if (write == Write::accumulate) fork += before(n, c, p);
              ASSERT_NEAR(u.d_residual(n, c, p), fork, rounding<TypeParam> * std::abs(fork));
            }
          }
        }
      }
    }
  }
}

TYPED_TEST(BatchNormKernel, BackwardMayRunInPlace) {
  const Maps m{5, 48, 49, 16};
  Unit<TypeParam> u(m), over_dy(m), over_x(m), fork_over_dy(m);
  for (auto* v : {&u, &over_dy, &over_x, &fork_over_dy}) v->forward(true, true, 4);
  bn_backward(u.gradients(true, true), m, 4);
  auto a = over_dy.gradients(true, true);
  a.dx = over_dy.dy.ptr();
  bn_backward(a, m, 4);
  EXPECT_TRUE(same_bits(over_dy.dy.data, u.dx.data));
  a = over_x.gradients(true, true);
  a.dx = over_x.x.ptr();
  bn_backward(a, m, 4);
  EXPECT_TRUE(same_bits(over_x.x.data, u.dx.data));
  a = fork_over_dy.gradients(true, true);
  a.d_residual = fork_over_dy.dy.ptr();
  bn_backward(a, m, 4);
  EXPECT_TRUE(same_bits(fork_over_dy.dy.data, u.d_residual.data));
  EXPECT_TRUE(same_bits(fork_over_dy.dx.data, u.dx.data));
}

TYPED_TEST(BatchNormKernel, StreamedResultsAreTheSame) {
  const int hw = static_cast<int>((24u << 20) / sizeof(TypeParam) / 16 + 9);  // 2 n above the limit
  const Maps whole{2, 8, hw, 8}, half{1, 8, hw, 8};
  blocked::Aligned<TypeParam> x(whole.size()), y(whole.size()), z(whole.size());
  const std::vector<float> mean(8, 0.25f), invstd(8, 2), gamma(8, -1), beta(8, 0.5f);
  const BatchNorm bn{mean.data(), invstd.data(), gamma.data(), beta.data()};
  bn_apply<TypeParam>(x.ptr(), whole, bn, nullptr, true, y.ptr());
  bn_apply<TypeParam>(x.ptr(), half, bn, nullptr, true, z.ptr());
  bn_apply<TypeParam>(x.ptr() + half.size(), half, bn, nullptr, true, z.ptr() + half.size());
  EXPECT_EQ(std::memcmp(y.ptr(), z.ptr(), whole.size() * sizeof(TypeParam)), 0);

  std::vector<float> dgamma(8), dbeta(8);
  BnBackward<TypeParam> a{x.ptr(),      x.ptr(), nullptr,       mean.data(), invstd.data(),
                          gamma.data(), y.ptr(), dgamma.data(), dbeta.data()};
  bn_backward(a, whole, 2);
  a.dx = x.ptr();  // in place: not streamed
  bn_backward(a, whole, 2);
  EXPECT_EQ(std::memcmp(y.ptr(), x.ptr(), whole.size() * sizeof(TypeParam)), 0);
}

TYPED_TEST(BatchNormKernel, BitsDoNotDependOnTheThreads) {
  // Blocks dealt out whole, shared by the team, and both.
  const std::vector<Maps> shapes = {{7, 64, 49, 8}, {8, 16, 2100, 16}, {9, 24, 1100, 8}};
  for (const Maps& m : shapes) {
    Unit<TypeParam> one(m);
    {
      const Threads threads(1);
      one.forward(true, true, m.n - 1);
      bn_backward(one.gradients(true, true), m, m.n - 1);
    }
    for (const int count : {2, 3}) {
      const Threads threads(count);
      Unit<TypeParam> many(m);
      many.forward(true, true, m.n - 1);
      bn_backward(many.gradients(true, true), m, m.n - 1);
      EXPECT_TRUE(same_bits(one.y.data, many.y.data)) << m.hw;
      EXPECT_TRUE(same_bits(one.var, many.var)) << m.hw;
      EXPECT_TRUE(same_bits(one.dx.data, many.dx.data)) << m.hw;
      EXPECT_TRUE(same_bits(one.d_residual.data, many.d_residual.data)) << m.hw;
      EXPECT_TRUE(same_bits(one.dgamma, many.dgamma)) << m.hw;
      EXPECT_TRUE(same_bits(one.dbeta, many.dbeta)) << m.hw;
    }
  }
}

TEST(BatchNormRunning, FollowsTorch) {
  const std::vector<float> mean = {2, -1}, var = {3, 0.5f};
  std::vector<float> running_mean = {0, 1}, running_var = {1, 2};
  bn_update_running(mean.data(), var.data(), 2, 10, 0.1f, running_mean.data(), running_var.data());
  EXPECT_FLOAT_EQ(running_mean[0], 0.2f);
  EXPECT_FLOAT_EQ(running_mean[1], 0.8f);
  EXPECT_FLOAT_EQ(running_var[0], 0.9f + 0.1f * 3 * 10 / 9);
  EXPECT_FLOAT_EQ(running_var[1], 1.8f + 0.1f * 0.5f * 10 / 9);
}

TEST(BatchNormFold, IsTheSameMap) {
  const std::vector<float> gamma = {1.5f, -2}, beta = {0.1f, 3}, mean = {4, -7}, var = {0.25f, 9};
  std::vector<float> scale(2), shift(2);
  fold_bn(gamma.data(), beta.data(), mean.data(), var.data(), 2, eps, scale.data(), shift.data());
  for (std::size_t c = 0; c < 2; ++c) {
    for (const double x : {-3.0, 0.0, 5.5}) {
      const double want =
          double{gamma[c]} * (x - double{mean[c]}) / std::sqrt(double{var[c]} + 1e-5) +
          double{beta[c]};
      EXPECT_NEAR(x * double{scale[c]} + double{shift[c]}, want, 1e-5);
    }
  }
}

TEST(BatchNormErrors, NameTheShape) {
  Unit<float> u({2, 16, 4, 8});
  EXPECT_THROW(u.forward(false, true, 3), DeviceError);
  EXPECT_THROW(u.forward(false, true, 0), DeviceError);
  u.x.m.c = 12;
  EXPECT_THROW(u.forward(false, true, 2), DeviceError);
  u.x.m = {2, 16, 4, 4};
  EXPECT_THROW(u.forward(false, true, 2), DeviceError);
}

}  // namespace
}  // namespace affuse::cpu
