// w[n][c] = mean over hw of gradient; cam[n][hw] = relu(sum_c w a).
// Reads the gradient and the activation once, 2 bytes an element and map (4 in fp32).
#include "kernels/cuda/block.h"
#include "kernels/cuda/gradcam.h"
#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256, kWarp = 32, kWarps = kThreads / kWarp;

/// A block takes 32 packs of channels of one sample (grid.x: the sample, grid.y: the packs); warp j
/// the pixels j, j + 8, ..; then the warps' sums are added in order.
template <class T>
__global__ void __launch_bounds__(kThreads)
    channel_weights(const T* gradient, int hw, int packs, float* weights) {
  constexpr int kSize = Pack<T>::size;
  GPU_SHARED(float, partial, [kWarps][kWarp * kSize]);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int pack = static_cast<int>(blockIdx.y) * kWarp + lane;
  const std::size_t sample = blockIdx.x, pixels = static_cast<std::size_t>(hw);
  float sum[kSize] = {};
  if (pack < packs) {
#pragma unroll 4
    for (int i = warp; i < hw; i += kWarps) {
      const auto x = load_pack(gradient, (sample * pixels + i) * packs + pack);
      for (int j = 0; j < kSize; ++j) sum[j] += widened(x.value[j]);
    }
  }
  for (int j = 0; j < kSize; ++j) partial[warp][lane * kSize + j] = sum[j];
  __syncthreads();
  const int channels = packs * kSize, first = static_cast<int>(blockIdx.y) * kWarp * kSize;
  const int column = static_cast<int>(threadIdx.x);
  if (column >= kWarp * kSize || first + column >= channels) return;
  float total = 0;
  for (int w = 0; w < kWarps; ++w) total += partial[w][column];
  weights[sample * channels + first + column] = total / static_cast<float>(hw);
}

/// A warp a pixel: its lanes take the packs of channels, coalesced.
template <class T>
__global__ void __launch_bounds__(kThreads)
    weighted_sum(const T* activation, const float* weights, std::size_t pixels, int hw, int packs,
                 float* cam) {
  constexpr int kSize = Pack<T>::size;
  const std::size_t pixel = std::size_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (pixel >= pixels) return;
  const float* w = weights + pixel / static_cast<unsigned>(hw) * packs * kSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float sum = 0;
#pragma unroll 2
  for (int pack = lane; pack < packs; pack += kWarp) {
    const auto x = load_pack(activation, pixel * packs + pack);
    for (int part = 0; part < kSize / 4; ++part) {
      const auto four = load_pack(w, static_cast<std::size_t>(pack * (kSize / 4) + part));
      for (int j = 0; j < 4; ++j) sum += four.value[j] * widened(x.value[4 * part + j]);
    }
  }
  sum = warp_sum(sum);
  if (lane == 0) cam[pixel] = sum < 0 ? 0.f : sum;  // NaN stays NaN
}

}  // namespace

template <class T>
void gradcam(const T* activation, const T* gradient, const Maps& m, float* weights, float* cam,
             Stream stream) {
  const int packs = m.c / Pack<T>::size;
  const auto samples = static_cast<unsigned>(m.n);
  const std::size_t pixels = static_cast<std::size_t>(m.n) * static_cast<std::size_t>(m.hw);
  gpu::launch<channel_weights<T>>(dim3(samples, static_cast<unsigned>((packs + kWarp - 1) / kWarp)),
                                  kThreads, 0, stream, gradient, m.hw, packs, weights);
  gpu::launch<weighted_sum<T>>(static_cast<unsigned>((pixels + kWarps - 1) / kWarps), kThreads, 0,
                               stream, activation, weights, pixels, m.hw, packs, cam);
}

template void gradcam(const float*, const float*, const Maps&, float*, float*, Stream);
template void gradcam(const Half*, const Half*, const Maps&, float*, float*, Stream);
template void gradcam(const Bf16*, const Bf16*, const Maps&, float*, float*, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
