// The 3x3, stride 2, pad 1 windows of the stem's max pool and the byte that names a window's
// maximum. Device code, for .cu files.
#pragma once
#include "kernels/cuda/octets.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// A window's place, from its number in memory's order.
struct Window {
  int sample, row, column;

  __device__ __forceinline__ Window(const PoolMaps& s, std::uint32_t number) {
    const auto height = static_cast<std::uint32_t>(s.out_h());
    const auto width = static_cast<std::uint32_t>(s.out_w());
    const std::uint32_t line = number / width, image = line / height;
    column = static_cast<int>(number - line * width);
    row = static_cast<int>(line - image * height);
    sample = static_cast<int>(image);
  }
};

/// Number of pixel (y, x) of a sample.
__device__ __forceinline__ std::uint32_t pixel_at(const PoolMaps& s, int sample, int y, int x) {
  return (static_cast<std::uint32_t>(sample) * static_cast<std::uint32_t>(s.h) +
          static_cast<std::uint32_t>(y)) *
             static_cast<std::uint32_t>(s.w) +
         static_cast<std::uint32_t>(x);
}

__device__ __forceinline__ std::uint32_t window_count(const PoolMaps& s, std::uint32_t samples) {
  return samples * static_cast<std::uint32_t>(s.out_h()) * static_cast<std::uint32_t>(s.out_w());
}

/// Index bytes of an octet's 8 windows, as one access.
struct alignas(8) Places {
  std::uint32_t half[2] = {};

  __device__ __forceinline__ int operator[](int k) const {
    return static_cast<int>(half[k / 4] >> 8 * (k % 4) & 0xFF);
  }
  __device__ __forceinline__ void set(int k, int place) {
    half[k / 4] |= static_cast<std::uint32_t>(place) << 8 * (k % 4);
  }
};
__device__ __forceinline__ Places load_places(const std::uint8_t* index, std::size_t octet) {
  return reinterpret_cast<const Places*>(index)[octet];
}
__device__ __forceinline__ void store_places(std::uint8_t* index, std::size_t octet,
                                             const Places& places) {
  reinterpret_cast<Places*>(index)[octet] = places;
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
