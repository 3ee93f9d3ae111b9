// Augmentation, an image a thread: bytes -> packed words with a border -> three float planes
// (flip, affine) -> jitter in place -> normalised output. Reads 3 and writes 12 bytes a pixel; the
// passes between stay in the cache.
#include "kernels/cpu/augment.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cpu/parallel.h"

namespace affuse::cpu {
namespace {

using math::AugmentParams;
using math::Jitter;
using Pixel = math::Rgb<float>;

// A tap lies in [-1, size] and reads the pixel after it too.
constexpr int kBefore = 1, kAfter = 2;

struct Planes {
  float* channel[3];
  int width, height;
  int pixels() const { return width * height; }
};

int pitch_of(int width) { return width + kBefore + kAfter; }

std::size_t border_words(int height, int width) {
  const auto words = static_cast<std::size_t>(pitch_of(width)) *
                     static_cast<std::size_t>(height + kBefore + kAfter);
  return (words + 15) / 16 * 16;
}

/// The image, flipped or not, as packed words inside a border of zeros.
void pack(const std::uint8_t* src, int height, int width, bool flip, std::uint32_t* words) {
  const int pitch = pitch_of(width);
  std::fill(words, words + border_words(height, width), 0u);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = src + static_cast<std::ptrdiff_t>(y) * width * 3;
    std::uint32_t* out = words + static_cast<std::ptrdiff_t>(y + kBefore) * pitch + kBefore;
    if (flip)
      for (int x = 0; x < width; ++x) out[width - 1 - x] = math::pack_pixel(row + 3 * x);
    else
      for (int x = 0; x < width; ++x) out[x] = math::pack_pixel(row + 3 * x);
  }
}

void unpack(const std::uint32_t* words, const Planes& planes) {
  const int width = planes.width, pitch = pitch_of(width);
  for (int y = 0; y < planes.height; ++y) {
    const std::uint32_t* row = words + static_cast<std::ptrdiff_t>(y + kBefore) * pitch + kBefore;
    const auto at = static_cast<std::ptrdiff_t>(y) * width;
    float *r = planes.channel[0] + at, *g = planes.channel[1] + at, *b = planes.channel[2] + at;
#pragma omp simd
    for (int x = 0; x < width; ++x) {
      const Pixel c = math::unpack_pixel<float>(row[x]);
      r[x] = c.r, g[x] = c.g, b[x] = c.b;
    }
  }
}

/// Pixels [first, first + count) of output row y, count <= kRun. Three loops, since only the middle
/// one, which looks the pixels up, cannot be vectorised.
constexpr int kRun = 64;
void affine_run(const std::uint32_t* origin, const math::Affine& inverse, const Planes& planes,
                int y, int first, int count) {
  const int width = planes.width, height = planes.height, pitch = pitch_of(width);
  int at[kRun];
  float right[kRun], below[kRun];
  std::uint32_t p00[kRun], p01[kRun], p10[kRun], p11[kRun];
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const auto tap = math::affine_tap<float>(inverse, first + i, y, width, height);
    at[i] = tap.y * pitch + tap.x;
    right[i] = tap.right;
    below[i] = tap.below;
  }
  for (int i = 0; i < count; ++i) {
    const std::uint32_t* pixel = origin + at[i];
    p00[i] = pixel[0];
    p01[i] = pixel[1];
    p10[i] = pixel[pitch];
    p11[i] = pixel[pitch + 1];
  }
  const auto start = static_cast<std::ptrdiff_t>(y) * width + first;
  float* r = planes.channel[0] + start;
  float* g = planes.channel[1] + start;
  float* b = planes.channel[2] + start;
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const Pixel c = math::bilinear(right[i], below[i], p00[i], p01[i], p10[i], p11[i]);
    r[i] = c.r, g[i] = c.g, b[i] = c.b;
  }
}

void affine(const std::uint32_t* words, const math::Affine& inverse, const Planes& planes) {
  const std::uint32_t* origin = words + kBefore * pitch_of(planes.width) + kBefore;
  for (int y = 0; y < planes.height; ++y)
    for (int x = 0; x < planes.width; x += kRun)
      affine_run(origin, inverse, planes, y, x, std::min(kRun, planes.width - x));
}

template <class Change>
void for_each_pixel(const Planes& planes, Change change) {
  float *r = planes.channel[0], *g = planes.channel[1], *b = planes.channel[2];
  const int pixels = planes.pixels();
#pragma omp simd
  for (int i = 0; i < pixels; ++i) {
    const Pixel c = change(Pixel{r[i], g[i], b[i]});
    r[i] = c.r, g[i] = c.g, b[i] = c.b;
  }
}

/// Mean of grey: a row in float, the rows in double.
float grey_mean(const Planes& planes) {
  double sum = 0;
  for (int y = 0; y < planes.height; ++y) {
    const auto at = static_cast<std::ptrdiff_t>(y) * planes.width;
    const float *r = planes.channel[0] + at, *g = planes.channel[1] + at,
                *b = planes.channel[2] + at;
    float row = 0;
#pragma omp simd reduction(+ : row)
    for (int x = 0; x < planes.width; ++x) row += math::grey(Pixel{r[x], g[x], b[x]});
    sum += double{row};
  }
  return static_cast<float>(sum / planes.pixels());
}

/// One loop a step, so that each is free of branches and vectorises.
void jitter(const AugmentParams& p, const Planes& planes) {
  for (const Jitter op : p.order) {
    if (!math::jitters(p, op)) continue;
    const float mean = op == Jitter::contrast ? grey_mean(planes) : 0.f;
    switch (op) {
      case Jitter::brightness:
      case Jitter::contrast: {
        const float ratio = op == Jitter::contrast ? p.contrast : p.brightness;
        for_each_pixel(planes, [=](Pixel c) { return math::blend(c, mean, ratio); });
        break;
      }
      case Jitter::saturation:
        for_each_pixel(planes, [ratio = p.saturation](Pixel c) {
          return math::blend(c, math::grey(c), ratio);
        });
        break;
      case Jitter::hue:
        for_each_pixel(planes, [turns = p.hue](Pixel c) { return math::adjust_hue(c, turns); });
        break;
    }
  }
}

template <class T>
void normalise(const Planes& planes, const Normalisation& norm, DstLayout layout, T* dst) {
  const int pixels = planes.pixels();
  const int pixel_step = layout == DstLayout::nhwc ? 3 : 1;
  const int channel_step = layout == DstLayout::nhwc ? 1 : pixels;
  for (int c = 0; c < 3; ++c) {
    const float* from = planes.channel[c];
    T* to = dst + static_cast<std::ptrdiff_t>(c) * channel_step;
    const float mean = norm.mean[c], deviation = norm.std[c];
    // NOLINTNEXTLINE(bugprone-branch-clone): it does not look into OpenMP loops
    if (pixel_step == 1) {
#pragma omp simd
      for (int i = 0; i < pixels; ++i) from_float((from[i] - mean) / deviation, to[i]);
    } else {
#pragma omp simd
      for (int i = 0; i < pixels; ++i) from_float((from[i] - mean) / deviation, to[3 * i]);
    }
  }
}

template <class T>
void erase(const AugmentParams& p, int height, int width, DstLayout layout, T* dst) {
  if (p.erase_height <= 0 || p.erase_width <= 0) return;
  const int top = std::max(p.erase_top, 0), left = std::max(p.erase_left, 0);
  const int bottom = std::min(p.erase_top + p.erase_height, height);
  const int right = std::min(p.erase_left + p.erase_width, width);
  if (left >= right) return;
  const bool nhwc = layout == DstLayout::nhwc;
  const int planes = nhwc ? 1 : 3, step = nhwc ? 3 : 1;
  for (int c = 0; c < planes; ++c)
    for (int y = top; y < bottom; ++y) {
      T* row = dst + (static_cast<std::ptrdiff_t>(c) * height + y) * width * step;
      std::fill(row + left * step, row + right * step, T{});
    }
}

template <class T>
void augment_image(const std::uint8_t* src, const AugmentParams& p, const Planes& planes,
                   std::uint32_t* words, const Normalisation& norm, DstLayout layout, T* dst) {
  pack(src, planes.height, planes.width, p.flip != 0, words);
  if (p.inverse.is_identity())
    unpack(words, planes);
  else
    affine(words, p.inverse, planes);
  jitter(p, planes);
  normalise(planes, norm, layout, dst);
  erase(p, planes.height, planes.width, layout, dst);
}

void check(const AugmentShape& s, std::size_t scratch_bytes) {
  if (s.height < 1 || s.width < 1 || s.height > 16384 || s.width > 16384)
    throw Error(fmt::format("augment: images of {} x {} pixels; 1 to 16384 are possible", s.width,
                            s.height));
  if (s.valid < 0 || s.valid > s.n)
    throw Error(fmt::format("augment: {} valid images in a batch of {}", s.valid, s.n));
  if (scratch_bytes < augment_scratch_bytes(s.height, s.width, 1))
    throw Error(fmt::format("augment: {} bytes of scratch; one thread needs {}", scratch_bytes,
                            augment_scratch_bytes(s.height, s.width, 1)));
}

template <class T>
void augment_all(const std::uint8_t* src, const AugmentParams* params, const AugmentShape& shape,
                 const Normalisation& norm, DstLayout layout, T* dst,
                 std::span<std::byte> scratch) {
  check(shape, scratch.size());
  const auto values =
      static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
  const std::size_t share = augment_scratch_bytes(shape.height, shape.width, 1);
  const auto room = static_cast<int>(std::min<std::size_t>(scratch.size() / share, 1024));
  const auto image = [&](int i, std::byte* mine) {
    T* out = dst + static_cast<std::size_t>(i) * values * 3;
    if (i >= shape.valid) {
      std::fill(out, out + values * 3, T{});
      return;
    }
    auto* words = reinterpret_cast<std::uint32_t*>(mine);
    auto* first = reinterpret_cast<float*>(words + border_words(shape.height, shape.width));
    const Planes planes{{first, first + values, first + 2 * values}, shape.width, shape.height};
    augment_image(src + static_cast<std::size_t>(i) * values * 3, params[i], planes, words, norm,
                  layout, out);
  };
  // Threads that have no scratch of their own have no images either.
  parallel(room > 1 && shape.n > 1, [&](Team team) {
    const Team workers{team.rank, std::min(team.size, room)};
    if (workers.rank >= workers.size) return;
    const Range mine = workers.share(shape.n);
    for (int i = mine.begin; i < mine.end; ++i)
      image(i, scratch.data() + static_cast<std::size_t>(workers.rank) * share);
  });
}

}  // namespace

std::size_t augment_scratch_bytes(int height, int width, int threads) {
  const auto values = static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3;
  const std::size_t words = border_words(height, width) + (values + 15) / 16 * 16;
  return words * 4 * static_cast<std::size_t>(threads);
}

void augment_batch(const std::uint8_t* src, const AugmentParams* params, const AugmentShape& shape,
                   const Normalisation& normalisation, DstLayout layout, float* dst,
                   std::span<std::byte> scratch) {
  augment_all(src, params, shape, normalisation, layout, dst, scratch);
}

void augment_batch(const std::uint8_t* src, const AugmentParams* params, const AugmentShape& shape,
                   const Normalisation& normalisation, DstLayout layout, Bf16* dst,
                   std::span<std::byte> scratch) {
  augment_all(src, params, shape, normalisation, layout, dst, scratch);
}

}  // namespace affuse::cpu
