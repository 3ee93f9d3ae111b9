// The errors of the emulation: their words, its limits, and that it goes on after them. Which bugs
// it must catch is in planted_test.cpp.
#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cuda/gpu.h"
#include "tests/kernels/cuda/emulated.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

using emulation::KernelError;

/// The message of the error that f throws.
std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const KernelError& e) {
    return e.what();
  }
  return "no error";
}

__global__ void throwing_kernel(int* out) {
  GPU_SHARED(int, tile, [64]);
  tile[threadIdx.x] = 1;
  __syncthreads();
  if (blockIdx.x == 1 && threadIdx.x == 40) throw std::out_of_range("thrown by a kernel");
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

TEST(EmulationErrors, LeaveTheEmulationUsable) {
  for_each_order([] {
    std::vector<int> out(64 * 2);
    EXPECT_THROW(gpu::launch<throwing_kernel>(2, 64, 0, nullptr, out.data()), std::out_of_range);
    gpu::launch<throwing_kernel>(1, 64, 0, nullptr, out.data());
    EXPECT_EQ(std::count(out.begin(), out.end(), 1), 64);
  });
}

constexpr unsigned barrier_line = __LINE__ + 3;
__global__ void early_kernel(int* out) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

TEST(EmulationErrors, NameKernelBlockFileAndLine) {
  std::vector<int> out(40);
  const std::string text =
      error_of([&] { gpu::launch<early_kernel>(dim3(1, 2), 64, 0, nullptr, out.data()); });
  EXPECT_NE(text.find("early_kernel, block (0,0,0): a barrier is not reached by all threads: 24 "
                      "thread(s) from thread 40 on have returned; 40 thread(s) from thread 0 on "
                      "wait at the barrier in emulation_errors_test.cpp:" +
                      std::to_string(barrier_line)),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(EmulationErrors, ReturningEarlyCanBeAllowedAsInCuda) {
  const KeepOptions keep;
  emulation::options().allow_exited_at_barrier = true;
  std::vector<int> out(40);
  gpu::launch<early_kernel>(1, 64, 0, nullptr, out.data());
  EXPECT_EQ(out, std::vector<int>(40, 1));
}

__global__ void launching_kernel(int* out) { gpu::launch<early_kernel>(1, 1, 0, nullptr, out); }

TEST(EmulationErrors, RefuseLaunchesThatCudaRefuses) {
  std::vector<int> out(64);
  const auto refused = [&](dim3 grid, dim3 block, std::size_t bytes) {
    return error_of([&] { gpu::launch<early_kernel>(grid, block, bytes, nullptr, out.data()); });
  };
  const std::string text = "invalid launch configuration";
  EXPECT_NE(refused(1, 0, 0).find(text), std::string::npos);
  EXPECT_NE(refused(1, 1025, 0).find(text), std::string::npos);
  EXPECT_NE(refused(1, dim3(1, 1, 65), 0).find(text), std::string::npos);
  EXPECT_NE(refused(dim3(1, 65536), 1, 0).find(text), std::string::npos);
  EXPECT_NE(refused(1, 1, 64 * 1024 + 1).find(text), std::string::npos);
  const std::string nested =
      error_of([&] { gpu::launch<launching_kernel>(1, 1, 0, nullptr, out.data()); });
  EXPECT_NE(nested.find("only the host can"), std::string::npos) << nested;
}

__global__ void static_and_dynamic_kernel(int* out) {
  GPU_SHARED(float, tile, [40 * 256]);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = static_cast<int>(tile[threadIdx.x]);
}

TEST(EmulationErrors, StaticAndDynamicSharedMemoryHaveOneLimit) {
  std::vector<int> out(32);
  gpu::launch<static_and_dynamic_kernel>(1, 32, 24 * 1024, nullptr, out.data());
  EXPECT_EQ(out, std::vector<int>(32, 1));
  const std::string text = error_of(
      [&] { gpu::launch<static_and_dynamic_kernel>(1, 32, 24 * 1024 + 4, nullptr, out.data()); });
  EXPECT_NE(text.find("static_and_dynamic_kernel, block (0,0,0): too much shared memory: 40960"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
