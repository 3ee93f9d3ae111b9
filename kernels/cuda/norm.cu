// Batch norm forward: mean and variance of a channel, y = (x - mean) gamma invstd + beta, +
// residual, ReLU. Bytes of a T element: the statistics read it (1 T), the apply reads x and
// residual, writes y and a bit (2-3 T + 1/8).
#include <cmath>

#include "kernels/cuda/norm.h"
#include "kernels/cuda/norm_parts.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

/// Octets in flight a thread, to hide the memory's latency within 80 registers.
template <class T>
constexpr int batch = 4 / Octet<T>::packs;

/// How many of the first `pixels` pixels each slab owns.
struct SlabCounts {
  std::uint32_t rows, turns, rest;

  __device__ __forceinline__ SlabCounts(const Tiling& t, std::uint32_t pixels)
      : rows(static_cast<std::uint32_t>(t.rows)),
        turns(pixels / (rows * static_cast<std::uint32_t>(t.slabs))),
        rest(pixels - turns * rows * static_cast<std::uint32_t>(t.slabs)) {}
  __device__ __forceinline__ std::uint32_t operator()(int slab) const {
    const std::uint32_t before = static_cast<std::uint32_t>(slab) * rows;
    return turns * rows + (rest > before ? min(rest - before, rows) : 0);
  }
};

/// Writes mean and sum of squared deviations of each slab. A thread sums around its first value,
/// the block around its first thread's mean: with a pivot among the n values themselves
/// sum (x - pivot)^2 is at most n times the sum of squared deviations, so float's digits last.
template <class T>
__global__ void __launch_bounds__(256, 3)
    moments_kernel(BnStatistics<T> a, Maps m, Tiling t, Partial partial) {
  const Place at(t);
  const std::uint32_t pixels = valid_samples(*a.state, m.n) * static_cast<std::uint32_t>(m.hw);
  const std::uint32_t count = at.inside ? at.count(pixels) : 0;
  OctetSums<2> sums;
  float pivot[8] = {};
  if (count > 0) {
    const Octet<T> first = load_octet(a.x, at.at(at.pixel));
#pragma unroll
    for (int k = 0; k < 8; ++k) pivot[k] = first[k];
  }
  for_pixels<batch<T>>(
      at, pixels, [&](std::uint32_t p) { return load_octet(a.x, at.at(p)); },
      [&](std::uint32_t, const Octet<T>& x) {
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          const float d = x[k] - pivot[k];
          sums.value[0][k] += d;
          sums.value[1][k] += d * d;
        }
      });

  GPU_SHARED(float, centre, [8][kNarrow]);  // [k][group]
  const float values = static_cast<float>(count);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float shift = count > 0 ? sums.value[0][k] / values : 0;
    pivot[k] += shift;
    sums.value[1][k] -= sums.value[0][k] * shift;
    if (at.row == 0) centre[k][at.group] = pivot[k];
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float d = count > 0 ? pivot[k] - centre[k][at.group] : 0;
    sums.value[0][k] = values * d;
    sums.value[1][k] += values * d * d;
  }
  const int slab = static_cast<int>(blockIdx.y);
  const std::uint32_t n = SlabCounts(t, pixels)(slab);
  reduce_rows(t, at, sums, [&](int channel, const float(&total)[2]) {
    const float shift = n > 0 ? total[0] / static_cast<float>(n) : 0;
    partial(slab, 0, channel) = centre[at.row][at.group] + shift;
    partial(slab, 1, channel) = total[1] - total[0] * shift;
  });
}

/// Merges the slabs' moments around the first slab's mean.
template <class T>
__global__ void __launch_bounds__(256)
    statistics_kernel(BnStatistics<T> a, Maps m, Tiling t, Partial partial) {
  const std::uint32_t pixels = valid_samples(*a.state, m.n) * static_cast<std::uint32_t>(m.hw);
  const SlabCounts counts(t, pixels);
  const auto mean_of = [&](int slab, int channel) {
    return static_cast<double>(partial(slab, 0, channel));
  };
  combine_slabs(
      t.slabs,
      [&](int slab, int channel) {
        const double n = counts(slab), d = mean_of(slab, channel) - mean_of(0, channel);
        return Pair{n * d, n * d * d + static_cast<double>(partial(slab, 1, channel))};
      },
      [&](int channel, const Pair& sum) {
        const double n = max(pixels, 1u);  // without a sample: mean 0, variance 0
        const double shift = sum.first / n;
        const double squares = sum.second / n - shift * shift;
        const double var = squares < 0 ? 0 : squares;  // NaN stays
        const auto mean = static_cast<float>(mean_of(0, channel) + shift);
        a.mean[channel] = mean;
        a.invstd[channel] = static_cast<float>(1 / sqrt(var + static_cast<double>(a.eps)));
        if (a.running_mean == nullptr || pixels == 0) return;
        const double unbiased = pixels > 1 ? var * (n / (n - 1)) : var;
        const float momentum = a.state->bn_momentum, keep = 1 - momentum;
        float& running_mean = a.running_mean[channel];
        float& running_var = a.running_var[channel];
        running_mean = keep * running_mean + momentum * mean;
        running_var = keep * running_var + momentum * static_cast<float>(unbiased);
      });
}

__global__ void __launch_bounds__(256)
    invstd_kernel(const float* running_var, int c, float eps, float* invstd) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < c)
    invstd[i] = static_cast<float>(
        1 / sqrt(static_cast<double>(running_var[i]) + static_cast<double>(eps)));
}

template <class T, bool Residual>
struct Incoming {
  Octet<T> x, residual;
};

/// From the last pixel to the first: what the statistics read last is still in L2.
template <class T, bool Residual>
__global__ void __launch_bounds__(256, 3) apply_kernel(BnApply<T> a, Maps m, Tiling t) {
  const Place at(t);
  if (!at.inside) return;
  const Channels mean(a.mean, at.octet), beta(a.beta, at.octet), invstd(a.invstd, at.octet);
  Channels scale(a.gamma, at.octet);
#pragma unroll
  for (int k = 0; k < 8; ++k) scale.value[k] *= invstd[k];
  const std::uint32_t pixels = static_cast<std::uint32_t>(m.n) * static_cast<std::uint32_t>(m.hw);
  for_pixels<Residual ? batch<T> / 2 : batch<T>>(
      at, pixels,
      [&](std::uint32_t p) {
        Incoming<T, Residual> in;
        in.x = load_octet(a.x, at.at(pixels - 1 - p));
        if constexpr (Residual) in.residual = load_octet(a.residual, at.at(pixels - 1 - p));
        return in;
      },
      [&](std::uint32_t p, const Incoming<T, Residual>& in) {
        Octet<T> y;
        unsigned alive = 0;
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          float v = (in.x[k] - mean[k]) * scale[k] + beta[k];
          if constexpr (Residual) v += in.residual[k];
          if (a.relu && v <= 0) v = 0;  // NaN stays
          y.set(k, v);
          alive |= y[k] <= 0 ? 0u : 1u << k;  // of the stored value, NaN included, as torch
        }
        store_octet(a.y, at.at(pixels - 1 - p), y);
        if (a.mask != nullptr) a.mask[at.at(pixels - 1 - p)] = static_cast<std::uint8_t>(alive);
      });
}

}  // namespace

std::size_t bn_partial_bytes(const Maps& m) { return partial_bytes(m); }

template <class T>
void bn_statistics(const BnStatistics<T>& a, const Maps& m, Stream stream) {
  const Tiling t(m, kNarrow);
  const Partial partial{static_cast<float*>(a.partial), m.c};
  gpu::launch<moments_kernel<T>>(t.grid(), Tiling::threads, 0, stream, a, m, t, partial);
  gpu::launch<statistics_kernel<T>>(t.octets, Tiling::threads, 0, stream, a, m, t, partial);
}

void bn_invstd(const float* running_var, int c, float eps, float* invstd, Stream stream) {
  gpu::launch<invstd_kernel>((c + 255) / 256, 256, 0, stream, running_var, c, eps, invstd);
}

template <class T>
void bn_apply(const BnApply<T>& a, const Maps& m, Stream stream) {
  const Tiling t(m, kWide);
  if (a.residual != nullptr)
    gpu::launch<apply_kernel<T, true>>(t.grid(), Tiling::threads, 0, stream, a, m, t);
  else
    gpu::launch<apply_kernel<T, false>>(t.grid(), Tiling::threads, 0, stream, a, m, t);
}

template void bn_statistics(const BnStatistics<float>&, const Maps&, Stream);
template void bn_statistics(const BnStatistics<Half>&, const Maps&, Stream);
template void bn_statistics(const BnStatistics<Bf16>&, const Maps&, Stream);
template void bn_apply(const BnApply<float>&, const Maps&, Stream);
template void bn_apply(const BnApply<Half>&, const Maps&, Stream);
template void bn_apply(const BnApply<Bf16>&, const Maps&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
