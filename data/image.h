// Images as bytes in memory and the strict decoders around them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace affuse {

/// An 8-bit RGB image, rows from the top, interleaved (HWC), no padding.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  ///< height * width * 3
};

/// What a decoder may spend on one file.
struct ImageLimits {
  std::size_t max_file_bytes = std::size_t{64} << 20;
  std::size_t max_pixels = std::size_t{64} << 20;
};

/// Decodes a JPEG, PNG or BMP (found by content, never by name) to RGB: EXIF orientation applied,
/// grey and CMYK/YCCK converted, 16 bit reduced to 8, alpha dropped.
/// `name` stands in the error. Throws DataError for anything that is not a complete, valid image.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name,
                   const ImageLimits& limits = {});

/// Reads and decodes a file. Throws DataError; a missing or empty file is named as such.
Image read_image(const std::string& path, const ImageLimits& limits = {});

/// Resizes with an antialiasing triangle filter (Pillow's BILINEAR, within 1 level).
Image resize_image(const Image& image, int width, int height);

/// Resizes the part [x0, x1) x [y0, y1) (source pixels, may be fractional, clamped to the image).
Image resize_image(const Image& image, double x0, double y0, double x1, double y1, int width,
                   int height);

/// Encodes as baseline JPEG, quality 1-100, 4:4:4.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality = 95);

/// Encodes as PNG.
std::vector<std::uint8_t> encode_png(const Image& image);

}  // namespace affuse
