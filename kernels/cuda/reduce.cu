// The losses of a rank's share, weighed: sum over ranks of share L is the mean over the batch.
// One thread and 80 bytes: its time is the launch.
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/reduce.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

__global__ void __launch_bounds__(1) pack_kernel(const StepState* state, double* sums) {
  const double share = double{state->share};
  // 0 times a loss that is not finite would hide it; found_inf tells of that.
  const bool counts = share > 0;
  sums[0] = counts ? share * state->loss : 0.0;
  sums[1] = counts ? share * state->loss_ce : 0.0;
  sums[2] = counts ? share * state->loss_cs : 0.0;
  sums[3] = counts ? share * state->loss_l2 : 0.0;
  sums[4] = state->found_inf;
}

__global__ void __launch_bounds__(1) unpack_kernel(const double* sums, StepState* state) {
  state->loss = sums[0];
  state->loss_ce = sums[1];
  state->loss_cs = sums[2];
  state->loss_l2 = sums[3];
  state->found_inf = sums[4] > 0 ? 1 : 0;
}

}  // namespace

void pack_step_sums(const StepState* state, double* sums, Stream stream) {
  gpu::launch<pack_kernel>(1, 1, 0, stream, state, sums);
}

void unpack_step_sums(const double* sums, StepState* state, Stream stream) {
  gpu::launch<unpack_kernel>(1, 1, 0, stream, sums, state);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
