// Sniffs an image's format and hands it to the decoder; sizes, limits and orientation.
#include "data/image.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "data/image_codecs.h"
#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view format;
};

using std::string_view_literals::operator""sv;  // NOLINT(misc-unused-using-decls): it is used
constexpr std::string_view kJpeg = "\xFF\xD8\xFF"sv, kPng = "\x89PNG\r\n\x1A\n"sv, kBmp = "BM"sv;

/// Formats that are known but not read, so that the message can name them.
constexpr std::array kForeign = {
    Signature{0, "GIF8"sv, "GIF"},
    Signature{0, "II*\0"sv, "TIFF"},
    Signature{0, "MM\0*"sv, "TIFF"},
    Signature{8, "WEBP"sv, "WebP"},
    Signature{4, "ftyp"sv, "HEIC, AVIF or MP4"},
    Signature{4, "jP  "sv, "JPEG 2000"},
    Signature{0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    Signature{4, "JXL "sv, "JPEG XL"},
    Signature{0, "\xFF\x0A"sv, "JPEG XL"},
    Signature{0, "8BPS"sv, "PSD"},
    Signature{0, "%PDF"sv, "PDF"},
    Signature{0, "P5\n"sv, "PGM"},
    Signature{0, "P6\n"sv, "PPM"},
};

bool has(Bytes bytes, std::size_t offset, std::string_view signature) {
  return bytes.size() >= offset + signature.size() &&
         std::memcmp(bytes.data() + offset, signature.data(), signature.size()) == 0;
}

[[noreturn]] void refuse_format(Bytes bytes, const std::string& name) {
  for (const Signature& s : kForeign)
    if (has(bytes, s.offset, s.bytes))
      refuse_image(name, fmt::format("{} is not supported; convert to JPEG or PNG", s.format));
  std::string start;
  for (std::size_t i = 0; i < bytes.size() && i < 4; ++i) start += fmt::format(" {:02x}", bytes[i]);
  refuse_image(name, "not a JPEG, PNG or BMP image (it starts with bytes" + start + ")");
}

}  // namespace

void check_area(std::uint64_t width, std::uint64_t height, const std::string& name,
                const ImageLimits& limits) {
  constexpr std::uint64_t kMaxSide = 1u << 24;
  if (width == 0 || height == 0)
    refuse_image(name, fmt::format("the image has size {} x {}", width, height));
  if (width > kMaxSide || height > kMaxSide || width * height > limits.max_pixels)
    refuse_image(name, fmt::format("{} x {} pixels are more than the limit of {} (raise "
                                   "data.max_pixels or shrink the image)",
                                   width, height, limits.max_pixels));
}

void check_image(const Image& image) {
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() !=
          static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3)
    throw Error(fmt::format("an image of {} x {} pixels cannot hold {} bytes of RGB", image.width,
                            image.height, image.rgb.size()));
}

Image orient_image(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool swap = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const int width = image.width, height = image.height;
  Image out{swap ? height : width, swap ? width : height, {}};
  out.rgb.resize(image.rgb.size());
  std::uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x, to += 3) {
      const int u = swap ? y : x, v = swap ? x : y;
      const std::size_t column = static_cast<std::size_t>(flip_x ? width - 1 - u : u);
      const std::size_t row = static_cast<std::size_t>(flip_y ? height - 1 - v : v);
      std::memcpy(to, &image.rgb[(row * static_cast<std::size_t>(width) + column) * 3], 3);
    }
  }
  return out;
}

Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name,
                   const ImageLimits& limits) {
  if (bytes.empty()) refuse_image(name, "the file is empty");
  if (bytes.size() > limits.max_file_bytes)
    refuse_image(name, fmt::format("{} bytes are more than the limit of {} (data.max_file_bytes)",
                                   bytes.size(), limits.max_file_bytes));
  if (has(bytes, 0, kJpeg)) return decode_jpeg(bytes, name, limits);
  if (has(bytes, 0, kPng)) return decode_png(bytes, name, limits);
  if (has(bytes, 0, kBmp)) return decode_bmp(bytes, name, limits);
  refuse_format(bytes, name);
}

Image read_image(const std::string& path, const ImageLimits& limits) {
  return decode_image(read_file(path, limits.max_file_bytes), path, limits);
}

}  // namespace affuse
