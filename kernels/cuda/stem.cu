// The stem forward: y = max over the 3x3 window of relu((x - mean) gamma invstd + beta).
// Bytes of an input element: x is read once from memory, its overlaps from cache (1 T), a quarter
// of the outputs and their index written (1/4 T + 1/4).
#include "kernels/cuda/stem.h"
#include "kernels/cuda/windows.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

/// relu and max in one: a value is taken where it is above the best so far, at first 0.
struct Best {
  float value[8] = {};
  int place[8] = {kDeadWindow, kDeadWindow, kDeadWindow, kDeadWindow,
                  kDeadWindow, kDeadWindow, kDeadWindow, kDeadWindow};

  __device__ __forceinline__ void take(int k, float x, int tap, bool inside) {
    const bool better = inside && (x > value[k] || x != x);  // NaN wins
    value[k] = better ? x : value[k];
    place[k] = better ? tap : place[k];
  }
};

/// From the last window to the first: what the statistics read last is still in L2.
template <class T>
__global__ void __launch_bounds__(256, 3) pool_kernel(StemApply<T> a, PoolMaps s, Tiling t) {
  const Place at(t);
  if (!at.inside) return;
  const Channels mean(a.mean, at.octet), beta(a.beta, at.octet), invstd(a.invstd, at.octet);
  Channels scale(a.gamma, at.octet);
#pragma unroll
  for (int k = 0; k < 8; ++k) scale.value[k] *= invstd[k];
  const std::uint32_t windows = window_count(s, static_cast<std::uint32_t>(s.n));
  for (std::uint32_t turn = at.pixel; turn < windows; turn += at.step) {
    const std::uint32_t number = windows - 1 - turn;
    const Window window(s, number);
    Best best;
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      const int y = 2 * window.row - 1 + tap / 3, x = 2 * window.column - 1 + tap % 3;
      // Outside the map the nearest pixel is read and not used: no branch holds up the loads.
      const int in_y = min(max(y, 0), s.h - 1), in_x = min(max(x, 0), s.w - 1);
      const Octet<T> in = load_octet(a.x, at.at(pixel_at(s, window.sample, in_y, in_x)));
      const bool inside = y == in_y && x == in_x;
#pragma unroll
      for (int k = 0; k < 8; ++k) best.take(k, (in[k] - mean[k]) * scale[k] + beta[k], tap, inside);
    }
    Octet<T> out;
    Places places;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      out.set(k, best.value[k]);
      places.set(k, out[k] <= 0 ? kDeadWindow : best.place[k]);  // a value may round to 0
    }
    store_octet(a.y, at.at(number), out);
    if (a.index != nullptr) store_places(a.index, at.at(number), places);
  }
}

}  // namespace

template <class T>
void stem_apply(const StemApply<T>& a, const PoolMaps& s, Stream stream) {
  const Tiling t(s.out(), kWide);
  gpu::launch<pool_kernel<T>>(t.grid(), Tiling::threads, 0, stream, a, s, t);
}

template void stem_apply(const StemApply<float>&, const PoolMaps&, Stream);
template void stem_apply(const StemApply<Half>&, const PoolMaps&, Stream);
template void stem_apply(const StemApply<Bf16>&, const PoolMaps&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
