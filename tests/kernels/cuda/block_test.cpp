// Warp and block reductions.
#include "kernels/cuda/block.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/emulated.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

__global__ void reductions_kernel(const double* in, double* out) {
  const double x = in[threadIdx.x];
  const double sum = block_sum<96>(x), max = block_max<96>(x);
  const double warp = warp_sum(x) + warp_max(x);
  double* o = out + std::size_t{3} * threadIdx.x;
  o[0] = sum;
  o[1] = max;
  o[2] = warp;
}

TEST(BlockReductions, GiveEveryThreadTheSameResult) {
  std::vector<double> in(96), first;
  for (std::size_t i = 0; i < 96; ++i) in[i] = std::sin(static_cast<double>(i * i));
  for_each_order([&] {
    std::vector<double> out(3 * 96);
    gpu::launch<reductions_kernel>(1, 96, 0, nullptr, in.data(), out.data());
    double sum = 0;
    for (double x : in) sum += x;
    for (std::size_t i = 0; i < 96; ++i) {
      EXPECT_NEAR(out[3 * i], sum, 1e-12);
      EXPECT_EQ(out[3 * i], out[0]);
      EXPECT_EQ(out[3 * i + 1], *std::max_element(in.begin(), in.end()));
      const auto warp = in.begin() + static_cast<long>(i / 32 * 32);
      double of_warp = *std::max_element(warp, warp + 32);
      for (int lane = 0; lane < 32; ++lane) of_warp += warp[lane];
      EXPECT_NEAR(out[3 * i + 2], of_warp, 1e-12);
    }
    if (first.empty()) first = out;
    EXPECT_EQ(out, first);  // the same bits in every order
  });
}

TEST(BlockReductions, TheMaximumKeepsNan) {
  for (const std::size_t at : {0u, 40u, 95u}) {
    std::vector<double> in(96, 1.0), out(3 * 96);
    in[at] = std::numeric_limits<double>::quiet_NaN();
    gpu::launch<reductions_kernel>(1, 96, 0, nullptr, in.data(), out.data());
    for (std::size_t i = 0; i < 96; ++i) EXPECT_TRUE(std::isnan(out[3 * i + 1]));
  }
}

}  // namespace
}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
