// y = erase(normalise(jitter(affine(flip(image))))), one thread a pixel. Reads 3 bytes a pixel
// (taps overlap in L1), again for the grey mean of images whose contrast changes (from L2 where a
// batch fits), writes 16: its floor is 19 to 22 bytes a pixel.
#include "kernels/cuda/augment.h"
#include "kernels/cuda/block.h"
#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

using math::AugmentParams;
using Pixel = math::Rgb<float>;

constexpr int kTileWidth = 32;  // a warp is 32 pixels of a row: 512 bytes of output
constexpr int kTileRows = 8;
constexpr int kRowsEach = 4;  // a thread's pixels lie kTileRows apart and share its parameters

/// One block a sample: twice the usual threads, as 256 samples are 2 blocks a multiprocessor.
constexpr int kGreyThreads = 512;

/// The bytes of one image and its reading through flip and affine.
struct Source {
  const std::uint8_t* image;
  int w, h;
  bool flip, identity;

  __device__ __forceinline__ std::uint32_t pixel(int x, int y) const {
    if (x < 0 || x >= w || y < 0 || y >= h) return 0;
    const std::size_t row = static_cast<std::size_t>(y) * static_cast<std::size_t>(w);
    return math::pack_pixel(image + 3 * (row + static_cast<std::size_t>(flip ? w - 1 - x : x)));
  }

  __device__ __forceinline__ Pixel at(const math::Affine& inverse, int x, int y) const {
    if (identity) return math::unpack_pixel<float>(pixel(x, y));
    const auto t = math::affine_tap<float>(inverse, x, y, w, h);
    return math::bilinear(t.right, t.below, pixel(t.x, t.y), pixel(t.x + 1, t.y),
                          pixel(t.x, t.y + 1), pixel(t.x + 1, t.y + 1));
  }
};

template <class T>
__device__ __forceinline__ Source source_of(const AugmentBatch<T>& a, int sample,
                                            const AugmentParams& p) {
  const auto row = static_cast<std::size_t>(a.rows != nullptr ? a.rows[sample] : sample);
  const std::size_t bytes = 3 * static_cast<std::size_t>(a.h) * static_cast<std::size_t>(a.w);
  return {a.images + row * bytes, a.w, a.h, p.flip != 0, p.inverse.is_identity()};
}

/// grey_mean[n] of the image as it enters the contrast step, where there is one.
template <class T>
__global__ void __launch_bounds__(kGreyThreads) grey_mean_kernel(AugmentBatch<T> a) {
  const int sample = static_cast<int>(blockIdx.x);
  if (sample >= a.state->valid) return;
  const AugmentParams p = a.params[sample];
  const int steps = math::contrast_step(p);
  if (steps == math::kJitters) return;
  const Source source = source_of(a, sample, p);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  double sum = 0;
  for (int y = warp; y < a.h; y += kGreyThreads / 32) {
    float row = 0;
    for (int x = lane; x < a.w; x += 32)
      row += math::grey(math::jitter_steps(p, 0, steps, source.at(p.inverse, x, y), 0.0f));
    sum += double{row};
  }
  sum = block_sum<kGreyThreads>(sum);
  if (threadIdx.x == 0)
    a.grey_mean[sample] = static_cast<float>(sum / (static_cast<double>(a.h) * a.w));
}

/// Output pixel (x, y); a.std holds 1 / std here: three divisions would show.
template <class T>
__device__ __forceinline__ Pack<T> network_pixel(const AugmentBatch<T>& a, const AugmentParams& p,
                                                 const Source& source, float grey_mean, int x,
                                                 int y) {
  Pack<T> out{};
  if (math::erased(p, x, y)) return out;
  const Pixel c = math::jitter_steps(p, 0, math::kJitters, source.at(p.inverse, x, y), grey_mean);
  out.value[0] = narrowed<T>((c.r - a.mean[0]) * a.std[0]);
  out.value[1] = narrowed<T>((c.g - a.mean[1]) * a.std[1]);
  out.value[2] = narrowed<T>((c.b - a.mean[2]) * a.std[2]);
  return out;
}

template <class T>
__global__ void __launch_bounds__(256) augment_kernel(AugmentBatch<T> a) {
  const int sample = static_cast<int>(blockIdx.z);
  const int x = static_cast<int>(blockIdx.x) * kTileWidth + static_cast<int>(threadIdx.x);
  const int top = static_cast<int>(blockIdx.y) * kTileRows * kRowsEach;
  const int bottom = min(top + kTileRows * kRowsEach, a.h);
  if (x >= a.w) return;
  const bool real = sample < a.state->valid;
  const AugmentParams p = real ? a.params[sample] : AugmentParams{};
  const Source source = real ? source_of(a, sample, p) : Source{};
  const float grey_mean = math::contrast_step(p) < math::kJitters ? a.grey_mean[sample] : 0.0f;
  const std::size_t first_row = static_cast<std::size_t>(sample) * static_cast<std::size_t>(a.h);
  for (int y = top + static_cast<int>(threadIdx.y); y < bottom; y += kTileRows) {
    const std::size_t row = first_row + static_cast<std::size_t>(y);
    const std::size_t at = row * static_cast<std::size_t>(a.w) + static_cast<std::size_t>(x);
    store_pack(a.y, at, real ? network_pixel(a, p, source, grey_mean, x, y) : Pack<T>{});
  }
}

}  // namespace

template <class T>
void augment(const AugmentBatch<T>& a, Stream stream) {
  const auto blocks = [](int count, int each) {
    return static_cast<unsigned>((count + each - 1) / each);
  };
  const dim3 samples(static_cast<unsigned>(a.n));
  gpu::launch<grey_mean_kernel<T>>(samples, dim3(kGreyThreads), 0, stream, a);
  AugmentBatch<T> scaled = a;
  for (float& deviation : scaled.std) deviation = 1 / deviation;
  const dim3 tiles(blocks(a.w, kTileWidth), blocks(a.h, kTileRows * kRowsEach), samples.x);
  gpu::launch<augment_kernel<T>>(tiles, dim3(kTileWidth, kTileRows), 0, stream, scaled);
}

template void augment(const AugmentBatch<float>&, Stream);
template void augment(const AugmentBatch<Half>&, Stream);
template void augment(const AugmentBatch<Bf16>&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
