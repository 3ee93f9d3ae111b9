// The GPU's memory, orders and backend in the tests of kernels, and main(): without a GPU it says
// so and fails.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"
#include "tests/kernels/cuda/program_rig.h"

namespace affuse {

void* allocate_on_device(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMallocManaged(&memory, bytes, cudaMemAttachGlobal) != cudaSuccess) throw std::bad_alloc();
  return memory;
}
void release_on_device(void* memory) noexcept { cudaFree(memory); }

bool device_fuses_multiply_add() { return true; }

// The GPU's own order, which varies: twice shows what is not the same each time.
void for_each_order(const std::function<void()>& f) {
  for (int turn = 1; turn <= 2; ++turn) {
    SCOPED_TRACE("run " + std::to_string(turn));
    f();
  }
}

std::unique_ptr<Backend> make_backend_under_test() { return make_cuda_backend(0); }

// cuDNN may take Winograd's algorithm; a value within rounding of ReLU's corner falls on either
// side of it, which moves single gradients by more than rounding.
program::Agreement program::fp32_agreement() { return {5e-4, 1e-4, 2e-3, true}; }

}  // namespace affuse

namespace {

/// What a kernel left behind: an access outside memory shows at the next call only.
class DeviceErrors : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& /*test*/) override {
    const cudaError_t status = cudaDeviceSynchronize();
    EXPECT_EQ(status, cudaSuccess) << cudaGetErrorString(status);
  }
};

}  // namespace

int main(int argc, char** argv) {
  // A launch returns when the kernel has ended: the test may read shared memory. The program's
  // tests read none; with 0 their copies and kernels overlap as in training.
  setenv("CUDA_LAUNCH_BLOCKING", "1", 0);
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    std::fprintf(stderr, "tests_gpu: no CUDA device: %s\n",
                 status != cudaSuccess ? cudaGetErrorString(status) : "the driver lists none");
    return 3;
  }
  testing::UnitTest::GetInstance()->listeners().Append(new DeviceErrors);
  return RUN_ALL_TESTS();
}
