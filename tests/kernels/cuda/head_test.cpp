// A head's bias, tanh and gradients against double, in place and on odd sizes.
#include "kernels/cuda/head.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;

DeviceVector<float> draw(int n, int width, float scale) {
  std::mt19937 g(static_cast<unsigned>(n * 37 + width));
  std::normal_distribution<float> normal(0, scale);
  DeviceVector<float> x(static_cast<std::size_t>(n) * static_cast<std::size_t>(width));
  for (float& value : x) value = normal(g);
  return x;
}

template <class Test>
void for_all(Test test) {
  for (const bool tanh : {false, true})
    for (const int out : {1, 2, 7, 8, 33})
      for (const int n : {1, 37, 256, 700}) {
        SCOPED_TRACE(::testing::Message() << "n " << n << ", out " << out << ", tanh " << tanh);
        test(n, out, tanh);
      }
}

TEST(CudaHead, BiasAndTanh) {
  for_all([](int n, int out, bool tanh) {
    const auto x = draw(n, out, 3), bias = draw(1, out, 1);
    auto y = x;
    gpu_kernels::bias_activation(y.data(), bias.data(), n, out, tanh, nullptr);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double sum = double{x[i]} + double{bias[i % std::size_t(out)]};
      EXPECT_NEAR(y[i], tanh ? std::tanh(sum) : sum, 1e-6);
    }
  });
}

TEST(CudaHead, MoreElementsThanThreads) {
  const int n = 40000, out = 7;  // the grid-stride loop goes round
  const auto x = draw(n, out, 1), bias = draw(1, out, 1);
  auto y = x;
  gpu_kernels::bias_activation(y.data(), bias.data(), n, out, false, nullptr);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], x[i] + bias[i % 7]);
}

TEST(CudaHead, SaturatesAndKeepsNan) {
  DeviceVector<float> y{-1e30f, 1e30f, 30, NAN};
  const DeviceVector<float> bias{0, 0};
  gpu_kernels::bias_activation(y.data(), bias.data(), 2, 2, true, nullptr);
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], 1);
  EXPECT_EQ(y[2], 1);
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST(CudaHead, Gradients) {
  for_all([](int n, int out, bool tanh) {
    auto y = draw(n, out, 1);
    for (float& value : y) value = std::tanh(value);
    const auto dy = draw(n, out, 2);
    DeviceVector<float> d(dy.size(), NAN), db(static_cast<std::size_t>(out), NAN);
    gpu_kernels::bias_activation_backward(dy.data(), y.data(), n, out, tanh, d.data(), db.data(),
                                          nullptr);
    std::vector<double> sums(db.size()), sizes(db.size());
    for (std::size_t i = 0; i < d.size(); ++i) {
      const double want = double{dy[i]} * (tanh ? 1 - double{y[i]} * double{y[i]} : 1);
      EXPECT_NEAR(d[i], want, 1e-6);
      sums[i % db.size()] += want;
      sizes[i % db.size()] += std::abs(want);
    }
    for (std::size_t o = 0; o < db.size(); ++o)
      EXPECT_NEAR(db[o], sums[o], 5e-7 * (1 + sizes[o])) << "output " << o;
  });
}

TEST(CudaHead, InPlaceTheSameBitsInEveryOrder) {
  const int n = 301, out = 5;
  const auto y = draw(n, out, .5f), dy = draw(n, out, 2);
  DeviceVector<float> d(dy.size(), NAN), db(5, NAN);
  gpu_kernels::bias_activation_backward(dy.data(), y.data(), n, out, true, d.data(), db.data(),
                                        nullptr);
  for_each_order([&] {
    auto both = dy;
    DeviceVector<float> sums(5, NAN);
    gpu_kernels::bias_activation_backward(both.data(), y.data(), n, out, true, both.data(),
                                          sums.data(), nullptr);
    EXPECT_EQ(both, d);
    EXPECT_EQ(sums, db);
  });
}

}  // namespace
}  // namespace affuse
