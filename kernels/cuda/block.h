// Warp and block reductions: every thread gets the result, the same bits in every run.
#pragma once
#include "kernels/cuda/gpu.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Of a full warp; all its lanes call. The butterfly pairs lanes 16, 8, 4, 2, 1 apart.
template <class T, class Combine>
__device__ __forceinline__ T warp_reduced(T value, Combine combine) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2)
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFu, value, apart));
  return value;
}

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

/// NaN if either is, so that all lanes agree.
struct Max {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    const bool b_is_nan = !(b == b);
    return a < b || b_is_nan ? b : a;
  }
};

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  return warp_reduced(value, Sum{});
}
template <class T>
__device__ __forceinline__ T warp_max(T value) {
  return warp_reduced(value, Max{});
}

/// Of a one-dimensional block of exactly Threads threads; all of them call. Calls may follow each
/// other: the first barrier keeps one call's writes behind the reads of the call before.
template <int Threads, class T, class Combine>
__device__ __forceinline__ T block_reduced(T value, Combine combine) {
  static_assert(Threads % 32 == 0 && Threads > 0 && Threads <= 1024);
  GPU_SHARED(T, of_warp, [Threads / 32]);
  value = warp_reduced(value, combine);
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  T out = of_warp[0];
#pragma unroll
  for (int warp = 1; warp < Threads / 32; ++warp) out = combine(out, of_warp[warp]);
  return out;
}

template <int Threads, class T>
__device__ __forceinline__ T block_sum(T value) {
  return block_reduced<Threads>(value, Sum{});
}
template <int Threads, class T>
__device__ __forceinline__ T block_max(T value) {
  return block_reduced<Threads>(value, Max{});
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
