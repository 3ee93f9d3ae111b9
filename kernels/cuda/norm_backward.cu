// Batch norm backward: g = (dy + dy2) masked, dbeta = sum g, dgamma = invstd sum g (x - mean);
// dx = gamma invstd (g - dbeta / N - (x - mean) invstd dgamma / N).
// Bytes of a T element: the sums read dy, x (dy2, the mask) and write g where it is kept
// (2-4 T + 1/8), the apply reads g (or dy, dy2, mask) and x and writes dx (3 T).
#include "kernels/cuda/norm.h"
#include "kernels/cuda/norm_parts.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

template <class T>
constexpr int batch = 2 / Octet<T>::packs;  // pixels whose 2 or 3 octets are in flight

/// What arrives at an octet.
template <class T, bool Fork>
struct Arrived {
  Octet<T> dy, dy2, x;
  unsigned mask;

  Arrived() = default;
  __device__ __forceinline__ Arrived(const BnBackward<T>& a, std::size_t i)
      : dy(load_octet(a.dy, i)), dy2{}, x(load_octet(a.x, i)), mask(0xFF) {
    if constexpr (Fork) dy2 = load_octet(a.dy2, i);
    if (a.mask != nullptr) mask = a.mask[i];
  }
  __device__ __forceinline__ float g(int k) const {
    const float sum = Fork ? dy[k] + dy2[k] : dy[k];
    return mask >> k & 1 ? sum : 0;
  }
};

__device__ __forceinline__ std::uint32_t pixels_of(const Maps& m, std::uint32_t samples) {
  return samples * static_cast<std::uint32_t>(m.hw);
}

template <class T, bool Fork>
__global__ void __launch_bounds__(256, 3)
    sums_kernel(BnBackward<T> a, Maps m, Tiling t, Partial partial) {
  const Place at(t);
  const std::uint32_t pixels = pixels_of(m, valid_samples(*a.state, m.n));
  OctetSums<2> sums;
  const Channels mean(a.mean, at.inside ? at.octet : 0);
  for_pixels<batch<T>>(
      at, pixels, [&](std::uint32_t p) { return Arrived<T, Fork>(a, at.at(p)); },
      [&](std::uint32_t p, const Arrived<T, Fork>& in) {
        Octet<T> kept;
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          float g = in.g(k);
          kept.set(k, g);
          if (a.g != nullptr) g = kept[k];  // sum what the apply will read
          sums.value[0][k] += g;
          sums.value[1][k] += g * (in.x[k] - mean[k]);
        }
        if (a.g != nullptr) store_octet(a.g, at.at(p), kept);
      });
  if (a.g != nullptr) clear_pixels(a.g, at, pixels, pixels_of(m, static_cast<std::uint32_t>(m.n)));
  const int slab = static_cast<int>(blockIdx.y);
  reduce_rows(t, at, sums, [&](int channel, const float(&total)[2]) {
    partial(slab, 0, channel) = total[0];
    partial(slab, 1, channel) = total[1];
  });
}

template <class T>
__global__ void __launch_bounds__(256) finish_kernel(BnBackward<T> a, Tiling t, Partial partial) {
  combine_slabs(
      t.slabs,
      [&](int slab, int channel) {
        return Pair{static_cast<double>(partial(slab, 0, channel)),
                    static_cast<double>(partial(slab, 1, channel))};
      },
      [&](int channel, const Pair& sum) {
        a.dbeta[channel] = static_cast<float>(sum.first);
        a.dgamma[channel] = static_cast<float>(sum.second * static_cast<double>(a.invstd[channel]));
      });
}

/// From the last pixel to the first: what the sums read last is still in L2.
template <class T, bool Fork>
__global__ void __launch_bounds__(256, 3) apply_kernel(BnBackward<T> a, Maps m, Tiling t) {
  const Place at(t);
  if (!at.inside) return;
  const std::uint32_t pixels = pixels_of(m, valid_samples(*a.state, m.n));
  const Gradient gradient(at.octet, static_cast<float>(max(pixels, 1u)), a.mean, a.invstd, a.gamma,
                          a.dgamma, a.dbeta);
  for_pixels<batch<T>>(
      at, pixels, [&](std::uint32_t p) { return Arrived<T, Fork>(a, at.at(pixels - 1 - p)); },
      [&](std::uint32_t p, const Arrived<T, Fork>& in) {
        Octet<T> dx;
#pragma unroll
        for (int k = 0; k < 8; ++k) dx.set(k, gradient.of(k, in.g(k), in.x[k]));
        store_octet(a.dx, at.at(pixels - 1 - p), dx);
      });
  clear_pixels(a.dx, at, pixels, pixels_of(m, static_cast<std::uint32_t>(m.n)));
}

}  // namespace

template <class T>
void bn_backward_sums(const BnBackward<T>& a, const Maps& m, Stream stream) {
  const Tiling t(m, kNarrow);
  const Partial partial{static_cast<float*>(a.partial), m.c};
  if (a.dy2 != nullptr)
    gpu::launch<sums_kernel<T, true>>(t.grid(), Tiling::threads, 0, stream, a, m, t, partial);
  else
    gpu::launch<sums_kernel<T, false>>(t.grid(), Tiling::threads, 0, stream, a, m, t, partial);
  gpu::launch<finish_kernel<T>>(t.octets, Tiling::threads, 0, stream, a, t, partial);
}

template <class T>
void bn_backward_apply(const BnBackward<T>& a, const Maps& m, Stream stream) {
  const Tiling t(m, kWide);
  BnBackward<T> from = a;
  if (a.g != nullptr) {
    from.dy = a.g;
    from.dy2 = nullptr;
    from.mask = nullptr;
  }
  if (from.dy2 != nullptr)
    gpu::launch<apply_kernel<T, true>>(t.grid(), Tiling::threads, 0, stream, from, m, t);
  else
    gpu::launch<apply_kernel<T, false>>(t.grid(), Tiling::threads, 0, stream, from, m, t);
}

template void bn_backward_sums(const BnBackward<float>&, const Maps&, Stream);
template void bn_backward_sums(const BnBackward<Half>&, const Maps&, Stream);
template void bn_backward_sums(const BnBackward<Bf16>&, const Maps&, Stream);
template void bn_backward_apply(const BnBackward<float>&, const Maps&, Stream);
template void bn_backward_apply(const BnBackward<Half>&, const Maps&, Stream);
template void bn_backward_apply(const BnBackward<Bf16>&, const Maps&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
