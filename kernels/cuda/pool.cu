// Global average pooling: y = sum over the pixels / hw; dx = dy / hw.
// Bytes of a T element: forward reads it, backward writes it (1 T); the fp32 side is 1 / hw of
// that.
#include "kernels/cuda/norm_parts.h"
#include "kernels/cuda/pool.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

/// A block takes one sample: its rows share the pixels.
Tiling tiling_of(const Maps& m) { return Tiling({1, m.hw, m.c}, kWide); }
dim3 grid_of(const Tiling& t, const Maps& m) {
  return dim3(static_cast<unsigned>(t.tiles), static_cast<unsigned>(m.n));
}
__device__ __forceinline__ Place place_in_sample(const Tiling& t) {
  Place at(t);
  at.pixel = static_cast<std::uint32_t>(at.row);
  at.step = static_cast<std::uint32_t>(t.rows);
  return at;
}
/// The block's sample in an array of `size` elements a sample.
template <class T>
__device__ __forceinline__ T* sample_of(T* array, int size) {
  return array + static_cast<std::size_t>(blockIdx.y) * static_cast<std::size_t>(size);
}

template <class T>
__global__ void __launch_bounds__(256) average_kernel(const T* x, Maps m, Tiling t, float* y) {
  const Place at = place_in_sample(t);
  const T* map = sample_of(x, m.hw * m.c);
  OctetSums<1> sums;
  for_pixels<4>(
      at, static_cast<std::uint32_t>(m.hw),
      [&](std::uint32_t p) { return load_octet(map, at.at(p)); },
      [&](std::uint32_t, const Octet<T>& in) {
#pragma unroll
        for (int k = 0; k < 8; ++k) sums.value[0][k] += in[k];
      });
  reduce_rows(t, at, sums, [&](int channel, const float(&total)[1]) {
    sample_of(y, m.c)[channel] = total[0] / static_cast<float>(m.hw);
  });
}

template <class T>
__global__ void __launch_bounds__(256) spread_kernel(const float* dy, Maps m, Tiling t, T* dx) {
  const Place at = place_in_sample(t);
  if (!at.inside) return;
  const Channels gradient(sample_of(dy, m.c), at.octet);
  Octet<T> share;
#pragma unroll
  for (int k = 0; k < 8; ++k) share.set(k, gradient[k] / static_cast<float>(m.hw));
  T* map = sample_of(dx, m.hw * m.c);
  for (auto p = at.pixel; p < static_cast<std::uint32_t>(m.hw); p += at.step)
    store_octet(map, at.at(p), share);
}

}  // namespace

template <class T>
void average_pool_forward(const T* x, const Maps& m, float* y, Stream stream) {
  const Tiling t = tiling_of(m);
  gpu::launch<average_kernel<T>>(grid_of(t, m), Tiling::threads, 0, stream, x, m, t, y);
}

template <class T>
void average_pool_backward(const float* dy, const Maps& m, T* dx, Stream stream) {
  const Tiling t = tiling_of(m);
  gpu::launch<spread_kernel<T>>(grid_of(t, m), Tiling::threads, 0, stream, dy, m, t, dx);
}

template void average_pool_forward(const float*, const Maps&, float*, Stream);
template void average_pool_forward(const Half*, const Maps&, float*, Stream);
template void average_pool_forward(const Bf16*, const Maps&, float*, Stream);
template void average_pool_backward(const float*, const Maps&, float*, Stream);
template void average_pool_backward(const float*, const Maps&, Half*, Stream);
template void average_pool_backward(const float*, const Maps&, Bf16*, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
