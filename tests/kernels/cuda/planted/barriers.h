// Planted bugs of barriers and shared memory. Each function runs its kernel, with the bug or
// without, and says whether the result is right.
#pragma once
#include <algorithm>
#include <vector>

#include "kernels/cuda/gpu.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE::planted {

inline bool all_equal(const std::vector<int>& values, int expected) {
  return std::all_of(values.begin(), values.end(), [&](int v) { return v == expected; });
}

/// Reads a neighbour's shared element before it is written.
template <bool Bug>
__global__ void reverse_kernel(int* out) {
  GPU_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = static_cast<int>(t);
  if (!Bug) __syncthreads();
  out[t] = tile[63 - t] + static_cast<int>(t);
}
template <bool Bug>
bool missing_barrier() {
  std::vector<int> out(64);
  gpu::launch<reverse_kernel<Bug>>(1, 64, 0, nullptr, out.data());
  return all_equal(out, 63);
}

/// A second reduction overwrites what slow threads still read of the first.
template <bool Bug>
__device__ int sum_of_warps(int value, int* of_warp) {
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  const int sum = of_warp[0] + of_warp[1];
  if (!Bug) __syncthreads();
  return sum;
}
template <bool Bug>
__global__ void two_sums_kernel(int* out) {
  GPU_SHARED(int, of_warp, [2]);
  const int first = sum_of_warps<Bug>(1, of_warp);
  const int second = sum_of_warps<Bug>(10, of_warp);
  out[threadIdx.x] = first + second;
}
template <bool Bug>
bool missing_second_barrier() {
  std::vector<int> out(64);
  gpu::launch<two_sums_kernel<Bug>>(1, 64, 0, nullptr, out.data());
  return all_equal(out, 22);
}

/// Threads meet at two different barriers.
template <bool Bug>
__global__ void branch_kernel(int* out) {
  GPU_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = 1;
  if (Bug && t < 32)
    __syncthreads();
  else if (Bug)
    __syncthreads();
  if (!Bug) __syncthreads();
  out[t] = tile[63 - t];
}
template <bool Bug>
bool divergent_barrier() {
  std::vector<int> out(64);
  gpu::launch<branch_kernel<Bug>>(1, 64, 0, nullptr, out.data());
  return all_equal(out, 1);
}

/// Threads without an element leave before the barrier.
template <bool Bug>
__global__ void guarded_kernel(int* out, unsigned n) {
  GPU_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  if (Bug && t >= n) return;
  tile[t] = 1;
  __syncthreads();
  if (t < n) out[t] = tile[n - 1 - t];
}
template <bool Bug>
bool early_return() {
  std::vector<int> out(50);
  gpu::launch<guarded_kernel<Bug>>(1, 64, 0, nullptr, out.data(), 50u);
  return all_equal(out, 1);
}

/// A barrier in a loop that some threads leave earlier.
template <bool Bug>
__global__ void loop_kernel(int* out, unsigned n) {
  GPU_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  for (unsigned i = t; Bug ? i < n : i - t < n; i += 64) {
    tile[t] = i < n ? 1 : 0;
    __syncthreads();
    if (i < n) out[i] = tile[t];
    __syncthreads();
  }
}
template <bool Bug>
bool barrier_in_uneven_loop() {
  std::vector<int> out(100);
  gpu::launch<loop_kernel<Bug>>(1, 64, 0, nullptr, out.data(), 100u);
  return all_equal(out, 1);
}

/// Adds to shared memory that nobody zeroed.
template <bool Bug>
__global__ void uninitialised_kernel(int* out) {
  GPU_SHARED(float, sum, [64]);
  const unsigned t = threadIdx.x;
  if (!Bug) sum[t] = 0;
  sum[t] += 2.0f;
  out[t] = sum[t] == 2.0f;
}
template <bool Bug>
bool uninitialised_shared() {
  std::vector<int> out(64);
  gpu::launch<uninitialised_kernel<Bug>>(1, 64, 0, nullptr, out.data());
  return all_equal(out, 1);
}

/// More shared memory than a block has.
template <bool Bug>
__global__ void large_kernel(int* out) {
  GPU_SHARED(float, tile, [(Bug ? 49 : 48) * 256]);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = static_cast<int>(tile[threadIdx.x]);
}
template <bool Bug>
bool too_much_shared() {
  std::vector<int> out(32);
  gpu::launch<large_kernel<Bug>>(1, 32, 0, nullptr, out.data());
  return all_equal(out, 1);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE::planted
