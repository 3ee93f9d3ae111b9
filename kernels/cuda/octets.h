// How a kernel's threads lie on NHWC maps: each owns an octet, 8 channels, of some pixels, so that
// its channels' coefficients and sums stay in registers. Device code, for .cu files.
#pragma once
#include <algorithm>

#include "kernels/cuda/maps.h"
#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// 8 channels of a pixel as stored: what a byte of a mask speaks of, 16 bytes in 16 bit.
template <class T>
struct Octet {
  static constexpr int packs = 8 / Pack<T>::size;
  Pack<T> pack[packs];

  __device__ __forceinline__ float operator[](int k) const {
    return widened(pack[k / Pack<T>::size].value[k % Pack<T>::size]);
  }
  __device__ __forceinline__ void set(int k, float x) {
    pack[k / Pack<T>::size].value[k % Pack<T>::size] = narrowed<T>(x);
  }
};

/// Octet number `i` of an array.
template <class T>
__device__ __forceinline__ Octet<T> load_octet(const T* array, std::size_t i) {
  Octet<T> octet;
#pragma unroll
  for (int j = 0; j < Octet<T>::packs; ++j)
    octet.pack[j] = load_pack(array, i * Octet<T>::packs + static_cast<std::size_t>(j));
  return octet;
}
template <class T>
__device__ __forceinline__ void store_octet(T* array, std::size_t i, const Octet<T>& octet) {
#pragma unroll
  for (int j = 0; j < Octet<T>::packs; ++j)
    store_pack(array, i * Octet<T>::packs + static_cast<std::size_t>(j), octet.pack[j]);
}

/// The 8 values of a per-channel array that belong to an octet; such arrays may start anywhere.
struct Channels {
  float value[8];

  __device__ __forceinline__ Channels(const float* array, int octet) {
#pragma unroll
    for (int k = 0; k < 8; ++k) value[k] = array[8 * octet + k];
  }
  __device__ __forceinline__ float operator[](int k) const { return value[k]; }
};

/// Channels beside each other that a block of a reduction owns: 128 bytes in 16 bit, a whole line,
/// and still 32 pixels a block to add up before anything is written.
inline constexpr int kNarrow = 8;
/// The same of an element-wise kernel, whose bytes of mask then fill a sector.
inline constexpr int kWide = 32;

/// A grid over maps. Block (t, s) owns `groups` octets from t groups on, of `rows` pixels from
/// s rows on, then every slabs rows pixels further. It follows from the shape alone. Pixels are
/// counted in 32 bits: 2^31 of them would take 32 GB at the least.
struct Tiling {
  static constexpr int threads = 256;
  static constexpr int processors = 132;  ///< an H100's, to be filled by one wave of blocks

  int octets;  ///< of a pixel
  int groups, rows;
  int tiles, slabs;

  /// @param blocks of the kernel that a multiprocessor runs at once, as its __launch_bounds__ say
  Tiling(const Maps& m, int most_groups, int blocks = 3)
      : octets(m.c / 8),
        groups(most_groups),
        rows(1),
        tiles((octets + most_groups - 1) / most_groups),
        slabs(1) {
    constexpr int pixels_of_a_thread = 4;  // fewer are not worth a block
    groups = (octets + tiles - 1) / tiles;
    rows = threads / groups;
    const std::size_t block = static_cast<std::size_t>(rows) * pixels_of_a_thread;
    const std::size_t pixels = static_cast<std::size_t>(m.n) * static_cast<std::size_t>(m.hw);
    const auto most = static_cast<std::size_t>(std::max(1, blocks * processors / tiles));
    slabs = static_cast<int>(std::clamp((pixels + block - 1) / block, std::size_t{1}, most));
  }
  dim3 grid() const { return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slabs)); }
};

/// The calling thread's place in its grid.
struct Place {
  int group, row;       ///< in the block
  int octets, octet;    ///< of a pixel; this thread's
  bool inside;          ///< false: a thread left over, which must do nothing
  std::uint32_t pixel;  ///< its first
  std::uint32_t step;   ///< to its next

  __device__ __forceinline__ explicit Place(const Tiling& t) {
    const int thread = static_cast<int>(threadIdx.x);
    group = thread % t.groups;
    row = thread / t.groups;
    octets = t.octets;
    octet = static_cast<int>(blockIdx.x) * t.groups + group;
    inside = row < t.rows && octet < octets;
    pixel = blockIdx.y * static_cast<std::uint32_t>(t.rows) + static_cast<std::uint32_t>(row);
    step = gridDim.y * static_cast<std::uint32_t>(t.rows);
  }
  /// Number of this thread's octet of pixel p in an array.
  __device__ __forceinline__ std::size_t at(std::uint32_t p) const {
    return static_cast<std::size_t>(p) * static_cast<std::size_t>(octets) +
           static_cast<std::size_t>(octet);
  }
  /// How many of the first `end` pixels are this thread's.
  __device__ __forceinline__ std::uint32_t count(std::uint32_t end) const {
    return pixel < end ? (end - pixel - 1) / step + 1 : 0;
  }
};

/// use(p, load(p)) for this thread's pixels below `end`, Batch loads in flight at once: all of a
/// batch are read before the first is used, which may write in place.
template <int Batch, class Load, class Use>
__device__ __forceinline__ void for_pixels(const Place& at, std::uint32_t end, const Load& load,
                                           const Use& use) {
  if (!at.inside) return;
  for (std::uint32_t p = at.pixel; p < end; p += Batch * at.step) {
    decltype(load(p)) loaded[Batch];
#pragma unroll
    for (std::uint32_t i = 0; i < Batch; ++i) {
      const std::uint32_t q = p + i * at.step;
      loaded[i] = load(q < end ? q : p);  // without a branch the loads go out together
    }
#pragma unroll
    for (std::uint32_t i = 0; i < Batch; ++i) {
      const std::uint32_t q = p + i * at.step;
      if (q < end) use(q, loaded[i]);
    }
  }
}

/// Zeros for the pixels begin <= p < end: padding, which nobody reads.
template <class T>
__device__ __forceinline__ void clear_pixels(T* array, const Place& at, std::uint32_t begin,
                                             std::uint32_t end) {
  if (!at.inside) return;
  for (std::uint32_t p = begin + at.pixel; p < end; p += at.step)
    store_octet(array, at.at(p), Octet<T>{});
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
