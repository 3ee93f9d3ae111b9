// Planted bugs of warps: masks, lanes and the order of their memory.
#pragma once
#include <vector>

#include "kernels/cuda/gpu.h"
#include "tests/kernels/cuda/planted/barriers.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE::planted {

/// The upper half shuffles with the mask of the lower.
template <bool Bug>
__global__ void half_warps_kernel(int* out) {
  const unsigned t = threadIdx.x;
  const unsigned mask = Bug || t < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  out[t] = __shfl_xor_sync(mask, 1, 1);
}
template <bool Bug>
bool wrong_mask() {
  std::vector<int> out(32);
  gpu::launch<half_warps_kernel<Bug>>(1, 32, 0, nullptr, out.data());
  return all_equal(out, 1);
}

/// Half a warp waits for a full one.
template <bool Bug>
__global__ void absent_lanes_kernel(int* out) {
  const unsigned t = threadIdx.x;
  out[t] = 1;
  if (t < 16) out[t] = __shfl_xor_sync(Bug ? 0xFFFFFFFFu : 0x0000FFFFu, 1, 1);
  __syncthreads();
}
template <bool Bug>
bool full_mask_in_a_branch() {
  std::vector<int> out(32);
  gpu::launch<absent_lanes_kernel<Bug>>(1, 32, 0, nullptr, out.data());
  return all_equal(out, 1);
}

/// Reads the register of a lane that is not in the mask.
template <bool Bug>
__global__ void inactive_lane_kernel(int* out) {
  const unsigned t = threadIdx.x;
  out[t] = 1;
  if (t < 16) out[t] = __shfl_sync(0x0000FFFFu, 1, Bug ? 20 : 15);
}
template <bool Bug>
bool inactive_lane() {
  std::vector<int> out(32);
  gpu::launch<inactive_lane_kernel<Bug>>(1, 32, 0, nullptr, out.data());
  return all_equal(out, 1);
}

/// Lanes exchange shared elements as if a warp ran in lockstep.
template <bool Bug>
__global__ void lockstep_kernel(int* out) {
  GPU_SHARED(int, tile, [32]);
  const unsigned t = threadIdx.x;
  tile[t] = static_cast<int>(t);
  if (!Bug) __syncwarp();
  out[t] = tile[31 - t] + static_cast<int>(t);
}
template <bool Bug>
bool missing_syncwarp() {
  std::vector<int> out(32);
  gpu::launch<lockstep_kernel<Bug>>(1, 32, 0, nullptr, out.data());
  return all_equal(out, 31);
}

/// Builds the mask of n lanes by a shift of the whole width.
template <bool Bug>
__global__ void lane_mask_kernel(int* out, unsigned n) {
  const unsigned mask = Bug || n < 32 ? (1u << n) - 1 : 0xFFFFFFFFu;
  out[threadIdx.x] = mask == 0xFFFFFFFFu;
}
template <bool Bug>
bool shift_by_the_width() {
  std::vector<int> out(32);
  gpu::launch<lane_mask_kernel<Bug>>(1, 32, 0, nullptr, out.data(), 32u);
  return all_equal(out, 1);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE::planted
