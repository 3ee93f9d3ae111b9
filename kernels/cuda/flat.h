// The range of kernels over flat arrays: groups of 4 elements, then the rest one by one.
#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

inline constexpr unsigned kFlatThreads = 256;
/// Several waves of the largest GPU: enough for it, and what a thread does first (Adam's factors)
/// pays for more than one group of a large array.
inline constexpr std::size_t kFlatBlocks = 4096;

/// Blocks of kFlatThreads for a group of 4 a thread; more than kFlatBlocks loop. None for count 0.
inline dim3 flat_grid(std::size_t count) {
  constexpr std::size_t elements = std::size_t{4} * kFlatThreads;
  return dim3(static_cast<unsigned>(std::min((count + elements - 1) / elements, kFlatBlocks)));
}

/// f(N, i) for group i of N = 4 elements (a std::integral_constant), then N = 1 for the last
/// count % 4. Neighbouring threads take neighbouring groups, so that 8 bytes of a 16-bit array
/// coalesce as 16 of an fp32 one do.
template <class F>
__device__ __forceinline__ void for_each_group(std::size_t count, F f) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (std::size_t i = first; i < count / 4; i += stride) f(std::integral_constant<int, 4>{}, i);
  for (std::size_t i = count / 4 * 4 + first; i < count; i += stride)
    f(std::integral_constant<int, 1>{}, i);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
