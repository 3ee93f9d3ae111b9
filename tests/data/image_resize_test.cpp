// Resizing against Pillow's bytes and against a direct, non-separable sum in double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "data/image.h"
#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

using ByteVector = std::vector<std::uint8_t>;

Image pattern(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>((x * 37 + y * 91 + c * 53) % 256));
  return image;
}

struct Box {
  double x0, y0, x1, y1;
};

/// The weighted mean of all pixels under a product of triangles, in double.
double reference(const Image& image, const Box& box, int width, int height, int x, int y, int c) {
  const auto weight = [](double low, double high, int out, int at, int pixel) {
    const double scale = (high - low) / out, centre = low + (at + .5) * scale;
    return std::max(0.0, 1 - std::abs(pixel + .5 - centre) / std::max(scale, 1.0));
  };
  double sum = 0, total = 0;
  for (int v = 0; v < image.height; ++v) {
    const double row = weight(box.y0, box.y1, height, y, v);
    for (int u = 0; row > 0 && u < image.width; ++u) {
      const double w = row * weight(box.x0, box.x1, width, x, u);
      sum += w * image.rgb[static_cast<std::size_t>((v * image.width + u) * 3 + c)];
      total += w;
    }
  }
  return sum / total;
}

double worst_error(const Image& image, const Box& box, int width, int height) {
  const Image out = resize_image(image, box.x0, box.y0, box.x1, box.y1, width, height);
  EXPECT_EQ(out.width, width);
  EXPECT_EQ(out.height, height);
  EXPECT_EQ(out.rgb.size(), static_cast<std::size_t>(width * height * 3));
  double worst = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        worst =
            std::max(worst, std::abs(out.rgb[static_cast<std::size_t>((y * width + x) * 3 + c)] -
                                     reference(image, box, width, height, x, y, c)));
  return worst;
}

TEST(ImageResize, EqualsPillow) {
  // Image.resize(size, BILINEAR, box) of the 7 x 5 pattern, Pillow 9.4.
  EXPECT_EQ(resize_image(pattern(7, 5), 3, 4).rgb,
            (ByteVector{55,  108, 147, 130, 168, 168, 163, 134, 104, 138, 145, 128,
                        131, 142, 99,  95,  116, 169, 95,  102, 117, 96,  143, 152,
                        169, 169, 126, 117, 170, 182, 140, 114, 103, 83,  114, 125}));
  EXPECT_EQ(resize_image(pattern(7, 5), 1.25, .5, 5.75, 4.5, 2, 2).rgb,
            (ByteVector{118, 150, 118, 137, 132, 136, 106, 128, 146, 122, 152, 116}));
}

TEST(ImageResize, SameSizeIsTheSameImage) {
  const Image image = pattern(9, 4);
  EXPECT_EQ(resize_image(image, 9, 4).rgb, image.rgb);
}

TEST(ImageResize, AgreesWithTheDoubleSum) {
  Philox random(5, Purpose::test);
  for (int trial = 0; trial < 60; ++trial) {
    Image image =
        pattern(1 + static_cast<int>(random.below(40)), 1 + static_cast<int>(random.below(40)));
    for (std::uint8_t& b : image.rgb)
      b = static_cast<std::uint8_t>(trial % 2 == 0 ? random.bits() : (random.bits() & 1) * 255);
    Box box{0, 0, image.width * 1.0, image.height * 1.0};
    if (trial % 3 == 0)
      box = {random.uniform(0, .45) * image.width, random.uniform(0, .45) * image.height,
             random.uniform(.55, 1) * image.width, random.uniform(.55, 1) * image.height};
    const int width = 1 + static_cast<int>(random.below(30));
    const int height = 1 + static_cast<int>(random.below(30));
    // Half a level of rounding in each of the two passes.
    EXPECT_LT(worst_error(image, box, width, height), 1.02)
        << image.width << " x " << image.height << " to " << width << " x " << height;
    EXPECT_LT(
        worst_error(image, {0, 0, image.width * 1.0, image.height * 1.0}, width, image.height),
        0.51);
    EXPECT_LT(
        worst_error(image, {0, 0, image.width * 1.0, image.height * 1.0}, image.width, height),
        0.51);
  }
}

TEST(ImageResize, AConstantStaysConstant) {
  for (const int level : {0, 1, 127, 254, 255}) {
    const Image image{31, 17, ByteVector(31 * 17 * 3, static_cast<std::uint8_t>(level))};
    for (const int size : {1, 7, 16, 40, 97})
      for (const std::uint8_t b : resize_image(image, size, size).rgb) ASSERT_EQ(b, level);
  }
}

TEST(ImageResize, BoxIsClampedAndAnEmptyOneRefused) {
  const Image image = pattern(8, 6);
  EXPECT_EQ(resize_image(image, -3, -9, 11, 600, 5, 5).rgb, resize_image(image, 5, 5).rgb);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const Box& b : {Box{8, 0, 12, 6}, Box{3, 3, 3, 5}, Box{5, 0, 2, 6}, Box{0, -4, 8, -1},
                       Box{kNan, 0, 8, 6}, Box{0, 0, 8, kNan}})
    EXPECT_THROW(resize_image(image, b.x0, b.y0, b.x1, b.y1, 4, 4), DataError);
}

TEST(ImageResize, RefusesImpossibleSizes) {
  const Image image = pattern(8, 6);
  EXPECT_THROW(resize_image(image, 0, 4), Error);
  EXPECT_THROW(resize_image(image, 4, -1), Error);
  EXPECT_THROW(resize_image(image, 1 << 20, 1), Error);
  EXPECT_THROW(resize_image(Image{8, 6, {}}, 4, 4), Error);
  EXPECT_THROW(resize_image(Image{}, 4, 4), Error);
}

}  // namespace
}  // namespace affuse
