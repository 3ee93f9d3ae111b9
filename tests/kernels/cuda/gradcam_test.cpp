// Grad-CAM's weights and map against double on odd sizes, in every type.
#include "kernels/cuda/gradcam.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cuda/pack.h"
#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using gpu_kernels::Maps;

template <class T>
DeviceVector<T> draw(const Maps& m, unsigned seed, float mean) {
  std::mt19937 g(seed);
  std::normal_distribution<float> normal(mean, 1);
  DeviceVector<T> x(m.size());
  for (T& value : x) from_float(normal(g), value);
  return x;
}

struct Cam {
  DeviceVector<float> weights, cam;
};

template <class T>
Cam run(const DeviceVector<T>& activation, const DeviceVector<T>& gradient, const Maps& m) {
  const auto n = static_cast<std::size_t>(m.n);
  Cam out{DeviceVector<float>(n * static_cast<std::size_t>(m.c), NAN),
          DeviceVector<float>(n * static_cast<std::size_t>(m.hw), NAN)};
  gpu_kernels::gradcam(activation.data(), gradient.data(), m, out.weights.data(), out.cam.data(),
                       nullptr);
  return out;
}

template <class T>
void expect_reference(const Cam& got, const DeviceVector<T>& activation,
                      const DeviceVector<T>& gradient, const Maps& m) {
  const auto n = static_cast<std::size_t>(m.n), hw = static_cast<std::size_t>(m.hw),
             c = static_cast<std::size_t>(m.c);
  std::vector<double> w(n * c);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    w[i / (hw * c) * c + i % c] += double{to_float(gradient[i])} / static_cast<double>(hw);
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(got.weights[i], w[i], 1e-6);
  for (std::size_t pixel = 0; pixel < n * hw; ++pixel) {
    double sum = 0, size = 0;
    for (std::size_t k = 0; k < c; ++k) {
      const double term = w[pixel / hw * c + k] * double{to_float(activation[pixel * c + k])};
      sum += term;
      size += std::abs(term);
    }
    EXPECT_NEAR(got.cam[pixel], std::max(sum, 0.0), 1e-6 * (1 + size));
  }
}

template <class T>
class CudaGradcam : public ::testing::Test {};
using Types = ::testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaGradcam, Types);

TYPED_TEST(CudaGradcam, EqualsTheDoubleFormula) {
  for (const Maps& m : {Maps{1, 1, 8}, {2, 49, 24}, {3, 7, 512}, {1, 50, 264}, {5, 33, 136}})
    for (const float mean : {0.f, .5f}) {
      SCOPED_TRACE(::testing::Message() << m.n << " x " << m.hw << " x " << m.c);
      const auto activation = draw<TypeParam>(m, 1, mean), gradient = draw<TypeParam>(m, 2, mean);
      const Cam first = run(activation, gradient, m);
      expect_reference(first, activation, gradient, m);
      for_each_order([&] {
        const Cam again = run(activation, gradient, m);
        EXPECT_EQ(again.weights, first.weights);
        EXPECT_EQ(again.cam, first.cam);
      });
    }
}

TYPED_TEST(CudaGradcam, NegativeIsZeroAndNanStays) {
  const Maps m{2, 3, 16};
  DeviceVector<TypeParam> activation(m.size()), gradient(m.size());
  for (std::size_t i = 0; i < m.size(); ++i) {
    from_float(-1, activation[i]);
    from_float(2, gradient[i]);
  }
  EXPECT_EQ(run(activation, gradient, m).cam, DeviceVector<float>(6, 0.f));
  from_float(NAN, activation[16 * 4 + 5]);  // pixel 1 of sample 1
  const Cam out = run(activation, gradient, m);
  for (std::size_t pixel = 0; pixel < 6; ++pixel)
    EXPECT_EQ(std::isnan(out.cam[pixel]), pixel == 4) << pixel;
}

}  // namespace
}  // namespace affuse
