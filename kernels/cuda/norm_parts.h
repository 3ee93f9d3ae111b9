// Parts of batch norm that the plain unit, the stem and pooling share: sums over the pixels of a
// channel, in a fixed order, and what follows from them. Device code, for .cu files.
#pragma once
#include "kernels/cuda/octets.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Samples that are real.
__device__ __forceinline__ std::uint32_t valid_samples(const StepState& state, int n) {
  return static_cast<std::uint32_t>(max(0, min(state.valid, n)));
}

/// Sums of `Sums` quantities of 8 channels over a thread's pixels.
template <int Sums>
struct OctetSums {
  float value[Sums][8] = {};
};

/// write(channel, sums) for each channel of the block's tile: the sums over the block's rows, in
/// their order. All threads of the block call; once in a kernel.
template <int Sums, class Write>
__device__ __forceinline__ void reduce_rows(const Tiling& t, const Place& at,
                                            const OctetSums<Sums>& sums, const Write& write) {
  constexpr int pitch = Tiling::threads + 8;  // 8 rows of 8 groups lie in different banks
  GPU_SHARED(float, shared, [Sums * 8][pitch]);
#pragma unroll
  for (int i = 0; i < Sums * 8; ++i) shared[i][threadIdx.x] = sums.value[i / 8][i % 8];
  __syncthreads();
  if (at.row >= 8 || at.octet >= at.octets) return;  // a thread a channel: k = row
  float total[Sums] = {};
  for (int row = 0; row < t.rows; ++row) {
#pragma unroll
    for (int i = 0; i < Sums; ++i) total[i] += shared[i * 8 + at.row][row * t.groups + at.group];
  }
  write(8 * at.octet + at.row, total);
}

/// Two numbers for each channel of each slab, [slabs][2][c].
struct Partial {
  float* data;
  int c;

  __device__ __forceinline__ float& operator()(int slab, int which, int channel) const {
    return data[static_cast<std::size_t>(2 * slab + which) * static_cast<std::size_t>(c) +
                static_cast<std::size_t>(channel)];
  }
};

inline std::size_t partial_bytes(const Maps& m) {
  return static_cast<std::size_t>(Tiling(m, kNarrow).slabs) * 2 * static_cast<std::size_t>(m.c) *
         sizeof(float);
}

struct Pair {
  double first = 0, second = 0;

  __device__ __forceinline__ void add(const Pair& other) {
    first += other.first;
    second += other.second;
  }
};

/// finish(channel, sum of term(slab, channel) over the slabs), in double and in a fixed order.
/// A block of 256 threads takes 8 channels; the grid has c / 8.
template <class Term, class Finish>
__device__ __forceinline__ void combine_slabs(int slabs, const Term& term, const Finish& finish) {
  constexpr int slices = 32;
  GPU_SHARED(double, first, [slices][8]);
  GPU_SHARED(double, second, [slices][8]);
  const int k = static_cast<int>(threadIdx.x) % 8, slice = static_cast<int>(threadIdx.x) / 8;
  const int channel = 8 * static_cast<int>(blockIdx.x) + k;
  Pair sum;
#pragma unroll 4
  for (int slab = slice; slab < slabs; slab += slices) sum.add(term(slab, channel));
  first[slice][k] = sum.first;
  second[slice][k] = sum.second;
  __syncthreads();
  if (slice != 0) return;
  for (int i = 1; i < slices; ++i) sum.add({first[i][k], second[i][k]});
  finish(channel, sum);
}

/// dx = scale g + slope (x - mean) + offset for an octet's channels.
struct Gradient {
  float mean[8], scale[8], slope[8], offset[8];

  /// @param count values per channel behind the sums dgamma and dbeta
  __device__ __forceinline__ Gradient(int octet, float count, const float* means,
                                      const float* invstd, const float* gamma, const float* dgamma,
                                      const float* dbeta) {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const int c = 8 * octet + k;
      mean[k] = means[c];
      scale[k] = gamma[c] * invstd[c];
      slope[k] = -scale[k] * invstd[c] * (dgamma[c] / count);
      offset[k] = -scale[k] * (dbeta[c] / count);
    }
  }
  __device__ __forceinline__ float of(int k, float g, float x) const {
    return scale[k] * g + (slope[k] * (x - mean[k]) + offset[k]);
  }
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
