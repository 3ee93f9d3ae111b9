// Planted bugs between threads and blocks: races, orders that nothing promises, launches.
#pragma once
#include <numeric>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "tests/kernels/cuda/planted/barriers.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE::planted {

/// Blocks add to one number.
template <bool Bug>
__global__ void count_blocks_kernel(int* count) {
  if (threadIdx.x != 0) return;
  if (Bug)
    *count += 1;
  else
    atomicAdd(count, 1);
}
template <bool Bug>
bool missing_atomic() {
  std::vector<int> count(1);
  gpu::launch<count_blocks_kernel<Bug>>(4, 32, 0, nullptr, count.data());
  return count[0] == 4;
}

/// Threads of one block add to the bins of a histogram.
template <bool Bug>
__global__ void histogram_kernel(int* out) {
  GPU_SHARED(int, bins, [2]);
  const unsigned t = threadIdx.x;
  if (t < 2) bins[t] = 0;
  __syncthreads();
  if (Bug)
    bins[t % 2] += 1;
  else
    atomicAdd(&bins[t % 2], 1);
  __syncthreads();
  if (t < 2) out[t] = bins[t];
}
template <bool Bug>
bool missing_atomic_in_block() {
  std::vector<int> out(2);
  gpu::launch<histogram_kernel<Bug>>(1, 64, 0, nullptr, out.data());
  return all_equal(out, 32);
}

/// The last block sums what the others wrote, without a fence behind their writes.
template <bool Bug>
__global__ void last_block_kernel(int* partial, unsigned* done, int* out) {
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = 1;
  if (!Bug) __threadfence();
  const bool last = atomicAdd(done, 1u) == gridDim.x - 1;
  if (!Bug) __threadfence();
  if (!last) return;
  int sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
  *out = sum;
}
template <bool Bug>
bool missing_threadfence() {
  std::vector<int> partial(5), out(1);
  std::vector<unsigned> done(1);
  gpu::launch<last_block_kernel<Bug>>(5, 32, 0, nullptr, partial.data(), done.data(), out.data());
  return out[0] == 5;
}

/// A block's range is one element too long.
template <bool Bug>
__global__ void ranges_kernel(int* out, unsigned n) {
  const unsigned begin = blockIdx.x * 8, end = begin + (Bug ? 9 : 8);
  const unsigned i = begin + threadIdx.x;
  if (i < end && i < n) out[i] = static_cast<int>(blockIdx.x);
}
template <bool Bug>
bool overlapping_blocks() {
  std::vector<int> out(30);
  gpu::launch<ranges_kernel<Bug>>(4, 32, 0, nullptr, out.data(), 30u);
  for (int i = 0; i < 30; ++i)
    if (out[static_cast<std::size_t>(i)] != i / 8) return false;
  return true;
}

/// A prefix sum that trusts the block before to have run.
template <bool Bug>
__global__ void chain_kernel(const int* in, int* out) {
  if (threadIdx.x != 0) return;
  int sum = in[blockIdx.x];
  if (Bug)
    sum += blockIdx.x > 0 ? out[blockIdx.x - 1] : 0;
  else
    for (unsigned b = 0; b < blockIdx.x; ++b) sum += in[b];
  out[blockIdx.x] = sum;
}
template <bool Bug>
bool trusted_block_order() {
  const std::vector<int> in(6, 1);
  std::vector<int> out(6), expected(6);
  gpu::launch<chain_kernel<Bug>>(6, 32, 0, nullptr, in.data(), out.data());
  std::iota(expected.begin(), expected.end(), 1);
  return out == expected;
}

template <bool Bug>
__global__ void ones_kernel(int* out) {
  out[threadIdx.x % 32] = 1;
}
/// More threads than a block can have.
template <bool Bug>
bool too_many_threads() {
  std::vector<int> out(32);
  gpu::launch<ones_kernel<Bug>>(1, Bug ? 2048 : 32, 0, nullptr, out.data());
  return all_equal(out, 1);
}
/// More dynamic shared memory than a block of the smallest target can have.
template <bool Bug>
bool too_much_dynamic_shared() {
  std::vector<int> out(32);
  gpu::launch<ones_kernel<Bug>>(1, 32, Bug ? 65 * 1024 : 64 * 1024, nullptr, out.data());
  return all_equal(out, 1);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE::planted
