// Planted bugs of addresses: what only ASan and UBSan see.
#pragma once
#include <vector>

#include "kernels/cuda/pack.h"
#include "tests/kernels/cuda/planted/barriers.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE::planted {

/// The guard of the last block lets one thread too many in.
template <bool Bug>
__global__ void copy_kernel(const int* in, int* out, unsigned n) {
  const unsigned i = blockIdx.x * 32 + threadIdx.x;
  const int value = (Bug ? i <= n : i < n) ? in[i] : 0;
  if (i < n) out[i] = value;
}
template <bool Bug>
bool read_past_the_end() {
  const std::vector<int> in(50, 1);
  std::vector<int> out(50);
  gpu::launch<copy_kernel<Bug>>(2, 32, 0, nullptr, in.data(), out.data(), 50u);
  return all_equal(out, 1);
}

/// Writes element 32 of 32.
template <bool Bug>
__global__ void shift_kernel(int* out, unsigned by) {
  GPU_SHARED(int, tile, [32]);
  int* shifted = tile + by;
  const unsigned t = threadIdx.x;
  tile[t] = 1;
  __syncthreads();
  if (Bug || t + by < 32) shifted[t] = 1;
  __syncthreads();
  out[t] = tile[t];
}
template <bool Bug>
bool write_past_shared() {
  std::vector<int> out(32);
  gpu::launch<shift_kernel<Bug>>(1, 32, 0, nullptr, out.data(), 1u);
  return all_equal(out, 1);
}

/// The launch asks for one element too few.
template <bool Bug>
__global__ void dynamic_kernel(int* out) {
  GPU_DYNAMIC_SHARED(int, tile);
  const unsigned t = threadIdx.x;
  tile[t] = 1;
  __syncthreads();
  out[t] = tile[31 - t];
}
template <bool Bug>
bool past_dynamic_shared() {
  std::vector<int> out(32);
  gpu::launch<dynamic_kernel<Bug>>(1, 32, (Bug ? 31 : 32) * sizeof(int), nullptr, out.data());
  return all_equal(out, 1);
}

/// 16 bytes from an address that is a multiple of 4 only.
template <bool Bug>
__global__ void pack_kernel(const float* in, int* out) {
  const Pack<float> pack = load_pack(in + (Bug ? 1 : 4), threadIdx.x);
  out[threadIdx.x] = static_cast<int>(pack.value[0]);
}
template <bool Bug>
bool misaligned_pack() {
  const std::vector<Pack<float>> in(33, Pack<float>{{1, 1, 1, 1}});
  std::vector<int> out(32);
  gpu::launch<pack_kernel<Bug>>(1, 32, 0, nullptr, in[0].value, out.data());
  return all_equal(out, 1);
}

/// The element index of a large array in int.
template <bool Bug>
__global__ void large_index_kernel(int* out, int row, int columns) {
  const std::size_t begin = Bug ? static_cast<std::size_t>(row * columns)
                                : static_cast<std::size_t>(row) * static_cast<std::size_t>(columns);
  out[(begin + threadIdx.x) % 32] = 1;
}
template <bool Bug>
bool index_overflow() {
  std::vector<int> out(32);
  gpu::launch<large_index_kernel<Bug>>(1, 32, 0, nullptr, out.data(), 70000, 70000);
  return all_equal(out, 1);
}

/// Reads element n of a register array of n.
template <bool Bug>
__global__ void registers_kernel(int* out, int n) {
  int values[4] = {1, 1, 1, 1};
  int product = 1;
  for (int i = 0; Bug ? i <= n : i < n; ++i) product *= values[i];
  out[threadIdx.x] = product;
}
template <bool Bug>
bool past_a_local_array() {
  std::vector<int> out(32);
  gpu::launch<registers_kernel<Bug>>(1, 32, 0, nullptr, out.data(), 4);
  return all_equal(out, 1);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE::planted
