// The fused stem against batch norm, ReLU and max pool in plain double loops.
#include "kernels/cpu/stem.h"

#include <algorithm>

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

template <class T>
struct Stem {
  PoolMaps s;
  int valid;
  Tensor<T> x, y, dy, dx;
  std::vector<std::uint8_t> index;
  std::vector<float> gamma, beta, mean, var, invstd, dgamma, dbeta;

  Stem(const PoolMaps& shape, int valid_samples)
      : s(shape),
        valid(valid_samples),
        x(random<T>(s.in(), 1, 2, 1)),
        y(s.out()),
        dy(random<T>(s.out(), 2)),
        dx(s.in()),
        index(s.out().size()),
        gamma(random_vector(static_cast<std::size_t>(s.c), 3, -1.5f, 1.5f)),
        beta(random_vector(gamma.size(), 4, -0.5f, 1)),
        mean(gamma.size()),
        var(mean),
        invstd(mean),
        dgamma(mean),
        dbeta(mean) {
    gamma[1] = 0;  // a dead channel: every window is a tie
  }
  void forward() {
    stem_forward<T>({x.ptr(), gamma.data(), beta.data(), eps, y.ptr(), index.data(), mean.data(),
                     var.data(), invstd.data()},
                    s, valid);
  }
  void backward(T* to) {
    stem_backward<T>({dy.ptr(), y.ptr(), index.data(), x.ptr(), mean.data(), invstd.data(),
                      gamma.data(), to, dgamma.data(), dbeta.data()},
                     s, valid);
  }
  int pixel(int o, int tap) const {
    return (2 * (o / s.out_w()) - 1 + tap / 3) * s.w + 2 * (o % s.out_w()) - 1 + tap % 3;
  }
};

/// First place of the maximum among batch norm's outputs, all n samples of one channel.
double pool(const PoolMaps& s, const std::vector<double>& z, int n, int o, int* place) {
  double best = 0;
  *place = -1;
  for (int tap = 0; tap < 9; ++tap) {
    const int iy = 2 * (o / s.out_w()) - 1 + tap / 3, ix = 2 * (o % s.out_w()) - 1 + tap % 3;
    if (iy < 0 || ix < 0 || iy >= s.h || ix >= s.w) continue;
    const double v = z[static_cast<std::size_t>((n * s.h + iy) * s.w + ix)];
    if (*place < 0 || v > best) {
      best = v;
      *place = tap;
    }
  }
  return best;
}

/// Batch norm of channel values x [n][h w] over the first `valid` samples.
std::vector<double> normalise(const std::vector<double>& x, std::size_t count, double gamma,
                              double beta) {
  double mean = 0, var = 0;
  for (std::size_t i = 0; i < count; ++i) mean += x[i] / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    var += (x[i] - mean) * (x[i] - mean) / static_cast<double>(count);
  }
  std::vector<double> z;
  for (double v : x) z.push_back((v - mean) / std::sqrt(var + 1e-5) * gamma + beta);
  return z;
}

template <class T>
std::vector<double> channel(const Tensor<T>& x, int c) {
  std::vector<double> v;
  for (int n = 0; n < x.m.n; ++n) {
    for (int p = 0; p < x.m.hw; ++p) v.push_back(x(n, c, p));
  }
  return v;
}

const std::vector<PoolMaps> stems = {{1, 8, 3, 2, 8},   {3, 16, 7, 9, 8},   {2, 16, 8, 5, 16},
                                     {3, 32, 9, 9, 16}, {2, 16, 32, 33, 8}, {3, 16, 1, 6, 16}};

template <class T>
class StemKernel : public testing::Test {};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(StemKernel, Storage);

TYPED_TEST(StemKernel, ForwardIsTheComposition) {
  for (const PoolMaps& s : stems) {
    Stem<TypeParam> t(s, std::max(1, s.n - 1));
    t.forward();
    for (int c = 0; c < s.c; ++c) {
      const auto k = static_cast<std::size_t>(c);
      const auto z = normalise(channel(t.x, c), static_cast<std::size_t>(t.valid * s.in().hw),
                               double{t.gamma[k]}, double{t.beta[k]});
      for (int n = 0; n < s.n; ++n) {
        for (int o = 0; o < s.out().hw; ++o) {
          int place = 0;
          const double best = pool(s, z, n, o, &place);
          ASSERT_NEAR(t.y(n, c, o), std::max(best, 0.0), rounding<TypeParam> * (3 + best));
          const int found = t.pixel(o, t.index[t.y.place(n, c, o)]);
          ASSERT_NEAR(z[static_cast<std::size_t>(n * s.in().hw + found)], best, 1e-5);
        }
      }
    }
  }
}

TYPED_TEST(StemKernel, OneScheduleGivesTheBitsOfItsParts) {
  for (const PoolMaps& s : {PoolMaps{3, 32, 9, 9, 16}, PoolMaps{8, 24, 47, 45, 8}}) {
    Stem<TypeParam> a(s, s.n - 1), b(s, s.n - 1);
    a.forward();
    bn_statistics(b.x.ptr(), s.in(), b.valid, b.mean.data(), b.var.data());
    bn_invstd(b.var.data(), s.c, eps, b.invstd.data());
    stem_apply(b.x.ptr(), s, {b.mean.data(), b.invstd.data(), b.gamma.data(), b.beta.data()},
               b.y.ptr(), b.index.data());
    EXPECT_TRUE(same_bits(a.y.data, b.y.data));
    EXPECT_TRUE(same_bits(a.index, b.index));
  }
}

TYPED_TEST(StemKernel, BackwardIsTheComposition) {
  for (const PoolMaps& s : stems) {
    Stem<TypeParam> t(s, std::max(1, s.n - 1));
    t.forward();
    t.backward(t.dx.ptr());
    const double count = t.valid * s.in().hw;
    for (int c = 0; c < s.c; ++c) {
      const auto k = static_cast<std::size_t>(c);
      std::vector<double> g(static_cast<std::size_t>(s.n * s.in().hw));
      double dbeta = 0, dgamma = 0;
      const auto normal = [&](int n, int p) {
        return (t.x(n, c, p) - double{t.mean[k]}) * double{t.invstd[k]};
      };
      for (int n = 0; n < t.valid; ++n) {
        for (int o = 0; o < s.out().hw; ++o) {
          if (t.y(n, c, o) <= 0) continue;
          const int p = t.pixel(o, t.index[t.y.place(n, c, o)]);
          g[static_cast<std::size_t>(n * s.in().hw + p)] += t.dy(n, c, o);
          dbeta += t.dy(n, c, o);
          dgamma += t.dy(n, c, o) * normal(n, p);
        }
      }
      EXPECT_NEAR(t.dbeta[k], dbeta, 1e-5 * std::sqrt(count));
      EXPECT_NEAR(t.dgamma[k], dgamma, 2e-5 * std::sqrt(count));
      const double scale = double{t.gamma[k]} * double{t.invstd[k]};
      for (int n = 0; n < s.n; ++n) {
        for (int p = 0; p < s.in().hw; ++p) {
          double want = scale * (g[static_cast<std::size_t>(n * s.in().hw + p)] - dbeta / count -
                                 normal(n, p) * dgamma / count);
          if (n >= t.valid) want = 0;
          ASSERT_NEAR(t.dx(n, c, p), want,
                      rounding<TypeParam> * (std::abs(want) + 3 * std::abs(scale)));
        }
      }
    }
  }
}

TEST(StemBackward, IsTheFiniteDifference) {
  const PoolMaps s{3, 8, 5, 6, 8};
  Stem<float> t(s, 2);
  t.forward();
  t.backward(t.dx.ptr());
  const double h = 1e-6;
  for (const int c : {0, 1, 4}) {
    const auto k = static_cast<std::size_t>(c);
    const auto x = channel(t.x, c);
    const auto loss = [&](const std::vector<double>& values, double gamma, double beta) {
      const auto z = normalise(values, static_cast<std::size_t>(t.valid * s.in().hw), gamma, beta);
      double sum = 0;
      for (int n = 0; n < t.valid; ++n) {
        for (int o = 0; o < s.out().hw; ++o) {
          int place = 0;
          sum += t.dy(n, c, o) * std::max(0.0, pool(s, z, n, o, &place));
        }
      }
      return sum;
    };
    const double gamma = double{t.gamma[k]}, beta = double{t.beta[k]};
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const double slope = (loss(up, gamma, beta) - loss(down, gamma, beta)) / (2 * h);
      const int hw = s.in().hw, at = static_cast<int>(i);
      EXPECT_NEAR(t.dx(at / hw, c, at % hw), slope, 1e-5) << c << " " << i;
    }
    EXPECT_NEAR(t.dbeta[k], (loss(x, gamma, beta + h) - loss(x, gamma, beta - h)) / (2 * h), 1e-5);
    if (c == 1) continue;  // gamma = 0: the maximum's place jumps
    EXPECT_NEAR(t.dgamma[k], (loss(x, gamma + h, beta) - loss(x, gamma - h, beta)) / (2 * h), 1e-5);
  }
}

TYPED_TEST(StemKernel, BitsDoNotDependOnTheThreadsNorOnThePlace) {
  for (const PoolMaps& s : {PoolMaps{9, 24, 41, 33, 8}, PoolMaps{8, 16, 47, 45, 16}}) {
    Stem<TypeParam> one(s, s.n - 1), two(s, s.n - 1);
    {
      const Threads threads(1);
      one.forward();
      one.backward(one.dx.ptr());
    }
    const Threads threads(2);
    two.forward();
    two.backward(two.x.ptr());  // in place
    EXPECT_TRUE(same_bits(one.y.data, two.y.data));
    EXPECT_TRUE(same_bits(one.index, two.index));
    EXPECT_TRUE(same_bits(one.dx.data, two.x.data));
    EXPECT_TRUE(same_bits(one.dgamma, two.dgamma));
    EXPECT_TRUE(same_bits(one.dbeta, two.dbeta));
  }
}

TEST(StemErrors, NameTheBatch) {
  Stem<float> t({2, 8, 4, 4, 8}, 3);
  EXPECT_THROW(t.forward(), DeviceError);
  EXPECT_THROW(t.backward(t.dx.ptr()), DeviceError);
}

}  // namespace
}  // namespace affuse::cpu
