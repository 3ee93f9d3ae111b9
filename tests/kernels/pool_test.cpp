// Pooling on blocked maps against plain loops.
#include "kernels/cpu/pool.h"

#include <limits>

#include "engine/error.h"
#include "tests/kernels/blocked.h"

namespace affuse::cpu {
namespace {

using blocked::random;
using blocked::rounding;
using blocked::same_bits;
using blocked::Tensor;
using blocked::Threads;

const std::vector<PoolMaps> pool_maps = {{1, 8, 1, 1, 8},   {2, 16, 1, 7, 8},  {3, 16, 2, 2, 16},
                                         {2, 48, 7, 9, 16}, {1, 16, 8, 3, 16}, {3, 8, 12, 14, 8},
                                         {2, 32, 33, 32, 8}};

template <class T>
class PoolKernel : public testing::Test {};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(PoolKernel, Storage);

/// Whole numbers: every window has ties.
template <class T>
Tensor<T> coarse(const Maps& m, unsigned seed) {
  auto x = random<T>(m, seed, 2);
  for (T& v : x.data) from_float(std::round(to_float(v)), v);
  return x;
}

/// torch's scan of one window: a later value wins if larger or NaN.
template <class T>
std::pair<double, int> scan(const Tensor<T>& x, const PoolMaps& s, int n, int c, int oy, int ox) {
  double best = -std::numeric_limits<double>::infinity();
  int place = -1;
  for (int tap = 0; tap < 9; ++tap) {
    const int iy = 2 * oy - 1 + tap / 3, ix = 2 * ox - 1 + tap % 3;
    if (iy < 0 || ix < 0 || iy >= s.h || ix >= s.w) continue;
    const double v = x(n, c, iy * s.w + ix);
    if (place < 0 || v > best || std::isnan(v)) {
      best = v;
      place = tap;
    }
  }
  return {best, place};
}

TYPED_TEST(PoolKernel, MaximumAndItsFirstPlace) {
  for (const PoolMaps& s : pool_maps) {
    auto x = coarse<TypeParam>(s.in(), 5);
    x.set(0, 1, s.h * s.w / 2, NAN);
    x.set(0, 2, s.h * s.w - 1, -std::numeric_limits<float>::infinity());
    Tensor<TypeParam> y(s.out());
    std::vector<std::uint8_t> index(s.out().size());
    max_pool_forward(x.ptr(), s, y.ptr(), index.data());
    for (int n = 0; n < s.n; ++n) {
      for (int c = 0; c < s.c; ++c) {
        for (int o = 0; o < s.out().hw; ++o) {
          const auto [best, place] = scan(x, s, n, c, o / s.out_w(), o % s.out_w());
          ASSERT_EQ(index[y.place(n, c, o)], place) << s.h << "x" << s.w;
          ASSERT_TRUE(y(n, c, o) == best || (std::isnan(best) && std::isnan(y(n, c, o))));
        }
      }
    }
  }
}

TYPED_TEST(PoolKernel, BackwardScattersToTheMaxima) {
  for (const PoolMaps& s : pool_maps) {
    const auto x = coarse<TypeParam>(s.in(), 6);
    const auto dy = random<TypeParam>(s.out(), 7);
    Tensor<TypeParam> y(s.out()), dx(s.in());
    std::vector<std::uint8_t> index(s.out().size());
    max_pool_forward(x.ptr(), s, y.ptr(), index.data());
    for (TypeParam& v : dx.data) from_float(NAN, v);  // all of it is overwritten
    max_pool_backward(dy.ptr(), index.data(), s, dx.ptr());
    for (int n = 0; n < s.n; ++n) {
      for (int c = 0; c < s.c; ++c) {
        std::vector<double> want(static_cast<std::size_t>(s.h * s.w));
        for (int o = 0; o < s.out().hw; ++o) {
          const int oy = o / s.out_w(), ox = o % s.out_w();
          const int tap = scan(x, s, n, c, oy, ox).second;
          want[static_cast<std::size_t>((2 * oy - 1 + tap / 3) * s.w + 2 * ox - 1 + tap % 3)] +=
              dy(n, c, o);
        }
        for (int p = 0; p < s.h * s.w; ++p) {
          ASSERT_NEAR(dx(n, c, p), want[static_cast<std::size_t>(p)], rounding<TypeParam> * 10)
              << s.h << "x" << s.w << " pixel " << p;
        }
      }
    }
  }
}

TYPED_TEST(PoolKernel, GlobalAverageAndItsGradient) {
  for (const Maps& m : blocked::odd_maps) {
    const auto x = random<TypeParam>(m, 8);
    const auto features = static_cast<std::size_t>(m.n * m.c);
    std::vector<float> y(features, NAN);
    average_pool_forward(x.ptr(), m, y.data());
    const auto dy = blocked::random_vector(features, 9, -1, 1);
    Tensor<TypeParam> dx(m);
    average_pool_backward(dy.data(), m, dx.ptr());
    for (int n = 0; n < m.n; ++n) {
      for (int c = 0; c < m.c; ++c) {
        const auto k = static_cast<std::size_t>(n * m.c + c);
        double mean = 0;
        for (int p = 0; p < m.hw; ++p) {
          mean += x(n, c, p) / m.hw;
          const double want = double{dy[k]} / m.hw;
          ASSERT_NEAR(dx(n, c, p), want, rounding<TypeParam> * std::abs(want));
        }
        ASSERT_NEAR(y[k], mean, 2e-6);
      }
    }
  }
}

TYPED_TEST(PoolKernel, BitsDoNotDependOnTheThreads) {
  const PoolMaps s{5, 48, 31, 33, 16};
  const auto x = coarse<TypeParam>(s.in(), 1);
  const auto dy = random<TypeParam>(s.out(), 2);
  Tensor<TypeParam> y[2] = {Tensor<TypeParam>(s.out()), Tensor<TypeParam>(s.out())};
  Tensor<TypeParam> dx[2] = {Tensor<TypeParam>(s.in()), Tensor<TypeParam>(s.in())};
  std::vector<float> mean[2] = {std::vector<float>(240), std::vector<float>(240)};
  std::vector<std::uint8_t> index(s.out().size());
  for (const int i : {0, 1}) {
    const Threads threads(1 + i);
    max_pool_forward(x.ptr(), s, y[i].ptr(), index.data());
    max_pool_backward(dy.ptr(), index.data(), s, dx[i].ptr());
    average_pool_forward(x.ptr(), s.in(), mean[i].data());
  }
  EXPECT_TRUE(same_bits(y[0].data, y[1].data));
  EXPECT_TRUE(same_bits(dx[0].data, dx[1].data));
  EXPECT_TRUE(same_bits(mean[0], mean[1]));
}

TEST(PoolErrors, NameTheShape) {
  std::vector<float> x(64), y(64);
  std::vector<std::uint8_t> index(64);
  EXPECT_THROW(max_pool_forward(x.data(), {1, 12, 2, 2, 8}, y.data(), index.data()), DeviceError);
  EXPECT_THROW(average_pool_forward(x.data(), {1, 8, 0, 8}, y.data()), DeviceError);
}

}  // namespace
}  // namespace affuse::cpu
