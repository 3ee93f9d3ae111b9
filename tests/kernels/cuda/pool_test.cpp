// Global average pooling on the emulated GPU against double precision.
#include "kernels/cuda/pool.h"

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

template <class T>
class CudaAveragePool : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaAveragePool, Types);

TYPED_TEST(CudaAveragePool, ForwardIsTheMean) {
  Worst worst("y");
  for (const Maps& m : odd_maps) {
    auto x = random<TypeParam>(m, 1, 1, 2);
    Floats y(static_cast<std::size_t>(m.n * m.c), NAN);
    gpu_kernels::average_pool_forward(x.ptr(), m, y.data(), nullptr);
    for (int n = 0; n < m.n; ++n)
      for (int c = 0; c < m.c; ++c) {
        double want = 0;
        for (int p = 0; p < m.hw; ++p) want += x(n, p, c) / m.hw;
        worst.see(y[static_cast<std::size_t>(n * m.c + c)], want, 2);
      }
  }
  EXPECT_LT(worst.error(), 1e-6);
}

TYPED_TEST(CudaAveragePool, BackwardSpreadsEvenly) {
  Worst worst("dx");
  for (const Maps& m : odd_maps) {
    const Floats dy = random_floats(m.n * m.c, 2, -1, 1);
    Tensor<TypeParam> dx(m);
    gpu_kernels::average_pool_backward(dy.data(), m, dx.ptr(), nullptr);
    for (int n = 0; n < m.n; ++n)
      for (int p = 0; p < m.hw; ++p)
        for (int c = 0; c < m.c; ++c) {
          const double want = double{dy[static_cast<std::size_t>(n * m.c + c)]} / m.hw;
          worst.see(dx(n, p, c), want, std::abs(want) + 1e-4);
        }
  }
  EXPECT_LT(worst.error(), 1.01 * rounding<TypeParam>);
}

TYPED_TEST(CudaAveragePool, BitsDoNotDependOnTheOrder) {
  const Maps m{3, 49, 40};
  auto x = random<TypeParam>(m, 1);
  Floats first;
  for_each_order([&] {
    Floats y(static_cast<std::size_t>(m.n * m.c));
    gpu_kernels::average_pool_forward(x.ptr(), m, y.data(), nullptr);
    if (first.empty()) first = y;
    EXPECT_TRUE(same_bits(y, first));
  });
}

}  // namespace
}  // namespace affuse
