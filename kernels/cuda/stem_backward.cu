// The stem backward. Sums over the pooled gradient g: dbeta = sum g, dgamma = sum g v with the
// normalised value v = (y - beta) / gamma, or from x. Then dx as batch norm's, of g unpooled.
// Bytes of an input element: the sums read a quarter of dy, y, index (1/2 T + 1/4), the apply reads
// x, a quarter of g and index, writes dx (2 1/4 T + 1/4).
#include "kernels/cuda/norm_parts.h"
#include "kernels/cuda/stem.h"
#include "kernels/cuda/windows.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

/// y is rounded to u |y|, u = 2^-24, 2^-11 or 2^-8, and a living y is at most beta + |gamma v|: the
/// error of v is at most u (beta / |gamma| + |v|). Up to this beta / |gamma| the first term stays
/// below 2^-9, and, as roundings spread evenly, 1e-3 on average; the second is as any storage's.
template <class T>
constexpr float most_beta_per_gamma = 0x1p15f;
template <>
inline constexpr float most_beta_per_gamma<Half> = 4;
template <>
inline constexpr float most_beta_per_gamma<Bf16> = 0.5f;

/// Below this |gamma| y is subnormal, where rounding is absolute.
template <class T>
constexpr float least_gamma = 0x1p-100f;
template <>
inline constexpr float least_gamma<Half> = 0x1p-14f;

/// v = (y - beta) factor for an octet's channels; bit k of `far`: gamma is too small, v is
/// (x - mean) invstd of the maximum's pixel.
template <class T>
struct Normalised {
  float beta[8], factor[8];
  unsigned far = 0;

  __device__ __forceinline__ Normalised(const StemBackward<T>& a, int octet) {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float gamma = a.gamma[8 * octet + k];
      beta[k] = a.beta[8 * octet + k];
      const bool near =
          fabsf(gamma) >= least_gamma<T> && beta[k] <= most_beta_per_gamma<T> * fabsf(gamma);
      factor[k] = near ? 1 / gamma : 0;
      if (!near) far |= 1u << k;
    }
  }
};

template <class T, bool Fork>
struct Pooled {
  Octet<T> dy, dy2, y;
  Places places;

  Pooled() = default;
  __device__ __forceinline__ Pooled(const StemBackward<T>& a, std::size_t i)
      : dy(load_octet(a.dy, i)), dy2{}, y(load_octet(a.y, i)), places(load_places(a.index, i)) {
    if constexpr (Fork) dy2 = load_octet(a.dy2, i);
  }
  __device__ __forceinline__ float g(int k) const { return Fork ? dy[k] + dy2[k] : dy[k]; }
};

/// v of the channels `far` of window `number`, from x at their maxima.
template <class T>
__device__ __forceinline__ void gather(const StemBackward<T>& a, const PoolMaps& s, const Place& at,
                                       std::uint32_t number, const Places& places, unsigned far,
                                       float (&v)[8]) {
  const Window window(s, number);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const int place = places[k], channel = 8 * at.octet + k;
    if ((far >> k & 1) == 0 || place == kDeadWindow) continue;
    const std::uint32_t pixel = pixel_at(s, window.sample, 2 * window.row - 1 + place / 3,
                                         2 * window.column - 1 + place % 3);
    const float x = widened(a.x[8 * at.at(pixel) + static_cast<std::size_t>(k)]);
    v[k] = (x - a.mean[channel]) * a.invstd[channel];
  }
}

template <class T, bool Fork>
__global__ void __launch_bounds__(256, 3)
    sums_kernel(StemBackward<T> a, PoolMaps s, Tiling t, Partial partial) {
  const Place at(t);
  const std::uint32_t windows = window_count(s, valid_samples(*a.state, s.n));
  OctetSums<2> sums;
  const Normalised<T> normalised(a, at.inside ? at.octet : 0);
  for_pixels<Fork ? 1 : 2 / Octet<T>::packs>(
      at, windows, [&](std::uint32_t p) { return Pooled<T, Fork>(a, at.at(p)); },
      [&](std::uint32_t p, const Pooled<T, Fork>& in) {
        Octet<T> kept;
        float v[8];
#pragma unroll
        for (int k = 0; k < 8; ++k) v[k] = (in.y[k] - normalised.beta[k]) * normalised.factor[k];
        if (normalised.far != 0) gather(a, s, at, p, in.places, normalised.far, v);
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          float g = in.g(k);
          kept.set(k, g);
          if (Fork && a.g != nullptr) g = kept[k];  // sum what the apply will read
          if (in.places[k] == kDeadWindow) g = v[k] = 0;
          sums.value[0][k] += g;
          sums.value[1][k] += g * v[k];
        }
        if (Fork && a.g != nullptr) store_octet(a.g, at.at(p), kept);
      });
  if (Fork && a.g != nullptr)
    clear_pixels(a.g, at, windows, window_count(s, static_cast<std::uint32_t>(s.n)));
  const int slab = static_cast<int>(blockIdx.y);
  reduce_rows(t, at, sums, [&](int channel, const float(&total)[2]) {
    partial(slab, 0, channel) = total[0];
    partial(slab, 1, channel) = total[1];
  });
}

__global__ void __launch_bounds__(256)
    finish_kernel(Tiling t, Partial partial, float* dgamma, float* dbeta) {
  combine_slabs(
      t.slabs,
      [&](int slab, int channel) {
        return Pair{static_cast<double>(partial(slab, 0, channel)),
                    static_cast<double>(partial(slab, 1, channel))};
      },
      [&](int channel, const Pair& sum) {
        dbeta[channel] = static_cast<float>(sum.first);
        dgamma[channel] = static_cast<float>(sum.second);
      });
}

/// What flows out of a window, 0 outside the map.
template <class T, bool Fork>
struct Flow {
  Octet<T> dy, dy2;
  Places places;

  __device__ __forceinline__ Flow(const StemBackward<T>& a, std::size_t i, bool exists)
      : dy(load_octet(a.dy, i)), dy2{}, places(load_places(a.index, i)) {
    if constexpr (Fork) dy2 = load_octet(a.dy2, i);
    if (!exists) places = Places{{~0u, ~0u}};
  }
  __device__ __forceinline__ float into(int tap, int k) const {
    return places[k] == tap ? (Fork ? dy[k] + dy2[k] : dy[k]) : 0;
  }
};

/// A thread owns the 2x2 pixels that start at a window's centre, taps 4, 5, 7, 8: they get from it
/// and from its right, lower and lower right neighbours. From the last window to the first: what
/// the sums read last is still in L2.
template <class T, bool Fork>
__global__ void __launch_bounds__(256, 2) apply_kernel(StemBackward<T> a, PoolMaps s, Tiling t) {
  const Place at(t);
  if (!at.inside) return;
  const std::uint32_t valid = valid_samples(*a.state, s.n);
  const std::uint32_t windows = window_count(s, valid);
  const auto pixels_of_sample = static_cast<std::uint32_t>(s.h) * static_cast<std::uint32_t>(s.w);
  const auto width = static_cast<std::uint32_t>(s.out_w());
  const Gradient gradient(at.octet, static_cast<float>(max(valid * pixels_of_sample, 1u)), a.mean,
                          a.invstd, a.gamma, a.dgamma, a.dbeta);
  for (std::uint32_t turn = at.pixel; turn < windows; turn += at.step) {
    const std::uint32_t number = windows - 1 - turn;
    const Window window(s, number);
    const bool right = window.column + 1 < s.out_w(), below = window.row + 1 < s.out_h();
    const std::uint32_t next = right ? 1 : 0, under = below ? width : 0;
    const Flow<T, Fork> here(a, at.at(number), true), east(a, at.at(number + next), right),
        south(a, at.at(number + under), below),
        far(a, at.at(number + next + under), right && below);
    const int y = 2 * window.row, x = 2 * window.column;
    const bool more_x = x + 1 < s.w, more_y = y + 1 < s.h;
    const std::size_t first = at.at(pixel_at(s, window.sample, y, x));
    const std::size_t column = more_x ? static_cast<std::size_t>(s.c / 8) : 0;
    const std::size_t row =
        more_y ? static_cast<std::size_t>(s.w) * static_cast<std::size_t>(s.c / 8) : 0;
    const Octet<T> in[4] = {load_octet(a.x, first), load_octet(a.x, first + column),
                            load_octet(a.x, first + row), load_octet(a.x, first + row + column)};
    Octet<T> dx[4];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      dx[0].set(k, gradient.of(k, here.into(4, k), in[0][k]));
      dx[1].set(k, gradient.of(k, here.into(5, k) + east.into(3, k), in[1][k]));
      dx[2].set(k, gradient.of(k, here.into(7, k) + south.into(1, k), in[2][k]));
      dx[3].set(k, gradient.of(
                       k, (here.into(8, k) + east.into(6, k)) + (south.into(2, k) + far.into(0, k)),
                       in[3][k]));
    }
    store_octet(a.dx, first, dx[0]);
    if (more_x) store_octet(a.dx, first + column, dx[1]);
    if (more_y) store_octet(a.dx, first + row, dx[2]);
    if (more_x && more_y) store_octet(a.dx, first + row + column, dx[3]);
  }
  clear_pixels(a.dx, at, valid * pixels_of_sample,
               static_cast<std::uint32_t>(s.n) * pixels_of_sample);
}

}  // namespace

std::size_t stem_partial_bytes(const PoolMaps& s) { return partial_bytes(s.out()); }

template <class T>
void stem_backward_sums(const StemBackward<T>& a, const PoolMaps& s, Stream stream) {
  const Tiling t(s.out(), kNarrow);
  const Partial partial{static_cast<float*>(a.partial), s.c};
  if (a.dy2 != nullptr)
    gpu::launch<sums_kernel<T, true>>(t.grid(), Tiling::threads, 0, stream, a, s, t, partial);
  else
    gpu::launch<sums_kernel<T, false>>(t.grid(), Tiling::threads, 0, stream, a, s, t, partial);
  gpu::launch<finish_kernel>(t.octets, Tiling::threads, 0, stream, t, partial, a.dgamma, a.dbeta);
}

template <class T>
void stem_backward_apply(const StemBackward<T>& a, const PoolMaps& s, Stream stream) {
  const Tiling t(s.out(), kWide, 2);
  StemBackward<T> from = a;
  if (a.dy2 != nullptr && a.g != nullptr) {
    from.dy = a.g;
    from.dy2 = nullptr;
  }
  if (from.dy2 != nullptr)
    gpu::launch<apply_kernel<T, true>>(t.grid(), Tiling::threads, 0, stream, from, s, t);
  else
    gpu::launch<apply_kernel<T, false>>(t.grid(), Tiling::threads, 0, stream, from, s, t);
}

template void stem_backward_sums(const StemBackward<float>&, const PoolMaps&, Stream);
template void stem_backward_sums(const StemBackward<Half>&, const PoolMaps&, Stream);
template void stem_backward_sums(const StemBackward<Bf16>&, const PoolMaps&, Stream);
template void stem_backward_apply(const StemBackward<float>&, const PoolMaps&, Stream);
template void stem_backward_apply(const StemBackward<Half>&, const PoolMaps&, Stream);
template void stem_backward_apply(const StemBackward<Bf16>&, const PoolMaps&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
