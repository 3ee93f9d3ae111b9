// The losses of a rank's share, weighed: sum over ranks of share L is the mean over the batch.
// One thread and 80 bytes: its time is the launch.
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/reduce.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

__global__ void __launch_bounds__(1) pack_kernel(const StepState* state, double* sums) {
  math::pack_step_sums(*state, sums);
}

__global__ void __launch_bounds__(1) unpack_kernel(const double* sums, StepState* state) {
  math::unpack_step_sums(sums, *state);
}

}  // namespace

void pack_step_sums(const StepState* state, double* sums, Stream stream) {
  gpu::launch<pack_kernel>(1, 1, 0, stream, state, sums);
}

void unpack_step_sums(const double* sums, StepState* state, Stream stream) {
  gpu::launch<unpack_kernel>(1, 1, 0, stream, sums, state);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
