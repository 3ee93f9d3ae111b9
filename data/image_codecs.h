// The decoders behind decode_image(), one a format, and what they share. Private to this folder.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/image.h"
#include "engine/error.h"

namespace affuse {

using Bytes = std::span<const std::uint8_t>;

/// Throws DataError "NAME: REASON".
[[noreturn]] inline void refuse_image(const std::string& name, std::string_view reason) {
  throw DataError(name + ": " + std::string(reason));
}

/// Throws unless width and height are positive and width * height <= limits.max_pixels.
void check_area(std::uint64_t width, std::uint64_t height, const std::string& name,
                const ImageLimits& limits);

/// Throws Error unless the sizes are positive and rgb holds height * width * 3 bytes.
void check_image(const Image& image);

/// The picture that EXIF orientation 1-8 describes; any other value leaves it as it is.
Image orient_image(Image image, int orientation);

/// Each expects bytes that begin with its format's signature and returns the oriented RGB image.
Image decode_jpeg(Bytes bytes, const std::string& name, const ImageLimits& limits);
Image decode_png(Bytes bytes, const std::string& name, const ImageLimits& limits);
Image decode_bmp(Bytes bytes, const std::string& name, const ImageLimits& limits);

/// Runs stb_image over a checked PNG or BMP; it may hold at most `budget` bytes at any time.
Image decode_with_stb(Bytes bytes, const std::string& name, std::size_t budget);

}  // namespace affuse
