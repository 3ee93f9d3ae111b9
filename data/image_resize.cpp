// Separable resize with a triangle filter that widens when shrinking (antialias), in the fixed
// point of Pillow's Resample.c, so that both give the same bytes.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "data/image_codecs.h"

namespace affuse {
namespace {

/// Bits after the point: 8 bits of value and 2 of head room stay free in 32.
constexpr int kPrecision = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kPrecision - 1);

/// The taps of every output position along one axis.
struct Taps {
  std::vector<int> first, count;
  std::vector<std::int32_t> weights;  ///< `stride` a position
  std::size_t stride = 0;
  const std::int32_t* at(int i) const { return &weights[static_cast<std::size_t>(i) * stride]; }
};

/// Output i covers [low + i s, low + (i + 1) s), s = (high - low) / out; its filter is a triangle
/// of half width max(s, 1) around the centre, cut at the image's border and normalized.
Taps triangle_taps(int in, double low, double high, int out) {
  const double scale = (high - low) / out, support = std::max(scale, 1.0);
  Taps taps;
  taps.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  taps.weights.resize(taps.stride * static_cast<std::size_t>(out));
  std::vector<double> exact(taps.stride);
  for (int i = 0; i < out; ++i) {
    const double centre = low + (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(std::floor(centre - support + 0.5)), 0);
    const int count = std::min(static_cast<int>(std::floor(centre + support + 0.5)), in) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const double distance = std::abs((k + first - centre + 0.5) / support);
      sum += exact[static_cast<std::size_t>(k)] = std::max(1.0 - distance, 0.0);
    }
    std::int32_t* weights = &taps.weights[static_cast<std::size_t>(i) * taps.stride];
    for (int k = 0; k < count; ++k)
      weights[k] = static_cast<std::int32_t>(
          std::floor(exact[static_cast<std::size_t>(k)] / sum * (1 << kPrecision) + 0.5));
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

/// Weights are at least 0 and sum to 1 (up to rounding), so only the top can be passed.
std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::min(sum >> kPrecision, 255));
}

/// Rows [top, bottom) of the image, resized along x.
std::vector<std::uint8_t> resize_rows(const Image& image, int top, int bottom, const Taps& taps) {
  const std::size_t width = taps.first.size(), in = static_cast<std::size_t>(image.width);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(bottom - top) * width * 3);
  std::uint8_t* to = out.data();
  for (int y = top; y < bottom; ++y) {
    const std::uint8_t* row = &image.rgb[static_cast<std::size_t>(y) * in * 3];
    for (int x = 0; x < static_cast<int>(width); ++x, to += 3) {
      const std::size_t i = static_cast<std::size_t>(x);
      const std::uint8_t* pixel = row + static_cast<std::size_t>(taps.first[i]) * 3;
      const std::int32_t* weight = taps.at(x);
      std::int32_t r = kHalf, g = kHalf, b = kHalf;
      for (int k = 0; k < taps.count[i]; ++k, pixel += 3) {
        r += weight[k] * pixel[0];
        g += weight[k] * pixel[1];
        b += weight[k] * pixel[2];
      }
      to[0] = to_byte(r);
      to[1] = to_byte(g);
      to[2] = to_byte(b);
    }
  }
  return out;
}

/// Rows of `stride` bytes, the first of them image row `top`, resized along y.
std::vector<std::uint8_t> resize_columns(const std::uint8_t* rows, std::size_t stride, int top,
                                         const Taps& taps) {
  std::vector<std::uint8_t> out(taps.first.size() * stride);
  std::vector<std::int32_t> sums(stride);
  for (std::size_t y = 0; y < taps.first.size(); ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const std::uint8_t* row = rows + static_cast<std::size_t>(taps.first[y] - top) * stride;
    for (int k = 0; k < taps.count[y]; ++k, row += stride) {
      const std::int32_t weight = taps.at(static_cast<int>(y))[k];
      for (std::size_t x = 0; x < stride; ++x) sums[x] += weight * row[x];
    }
    std::transform(sums.begin(), sums.end(), &out[y * stride], to_byte);
  }
  return out;
}

}  // namespace

Image resize_image(const Image& image, double x0, double y0, double x1, double y1, int width,
                   int height) {
  check_image(image);
  if (width < 1 || height < 1 || width > 1 << 16 || height > 1 << 16)
    throw Error(fmt::format("cannot resize an image to {} x {} pixels", width, height));
  const double left = std::max(x0, 0.0), right = std::min<double>(x1, image.width);
  const double above = std::max(y0, 0.0), below = std::min<double>(y1, image.height);
  if (!(left < right && above < below))
    throw DataError(fmt::format("the box [{}, {}) x [{}, {}) has no pixel of the {} x {} image", x0,
                                x1, y0, y1, image.width, image.height));
  const bool along_x = width != image.width || left != 0 || right != image.width;
  const bool along_y = height != image.height || above != 0 || below != image.height;
  if (!along_x && !along_y) return image;
  Image out{width, height, {}};
  int top = 0, bottom = image.height;
  Taps columns;
  if (along_y) {
    columns = triangle_taps(image.height, above, below, height);
    top = columns.first.front();
    bottom = columns.first.back() + columns.count.back();
  }
  const std::uint8_t* rows = image.rgb.data();
  if (along_x) {
    out.rgb = resize_rows(image, top, bottom, triangle_taps(image.width, left, right, width));
    rows = out.rgb.data();
  } else {
    top = 0;
  }
  if (along_y) out.rgb = resize_columns(rows, static_cast<std::size_t>(width) * 3, top, columns);
  return out;
}

Image resize_image(const Image& image, int width, int height) {
  return resize_image(image, 0, 0, image.width, image.height, width, height);
}

}  // namespace affuse
