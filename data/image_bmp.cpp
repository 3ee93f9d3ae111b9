// BMP: the header is checked here, and stb_image sees a file rebuilt from the checked parts (its
// own header reader leaves palette entries unset and takes missing pixels for black).
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include "data/image_codecs.h"

namespace affuse {
namespace {

constexpr std::size_t kFileHeader = 14, kCoreHeader = 12, kInfoHeader = 40, kMaskBytes = 12;
constexpr std::uint32_t kRgb = 0, kBitFields = 3;

std::uint32_t little(Bytes b, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= std::uint32_t{b[at + i]} << (8 * i);
  return value;
}

struct Header {
  std::size_t pixels_at = 0, header_bytes = 0, stride = 0;
  std::int64_t width = 0, height = 0;  ///< height < 0: rows from the top
  unsigned depth = 0;
  std::uint32_t compression = kRgb;
  std::size_t palette_at = 0, palette_entry = 4;
  std::size_t rows() const { return static_cast<std::size_t>(std::abs(height)); }
  bool indexed() const { return depth <= 8; }
};

void read_sizes(Bytes file, Header& h) {
  if (h.header_bytes == kCoreHeader) {
    h.width = little(file, 18, 2);
    h.height = little(file, 20, 2);
    h.depth = little(file, 24, 2);
    h.palette_entry = 3;
  } else {
    h.width = static_cast<std::int32_t>(little(file, 18, 4));
    h.height = static_cast<std::int32_t>(little(file, 22, 4));
    h.depth = little(file, 28, 2);
    h.compression = little(file, 30, 4);
  }
}

void check_kind(const Header& h, const std::string& name) {
  constexpr std::array kDepths = {1u, 4u, 8u, 16u, 24u, 32u};
  if (std::find(kDepths.begin(), kDepths.end(), h.depth) == kDepths.end())
    refuse_image(name, fmt::format("BMP with {} bits a pixel is not supported", h.depth));
  const bool masks = h.compression == kBitFields && (h.depth == 16 || h.depth == 32);
  if (h.compression != kRgb && !masks)
    refuse_image(name, fmt::format("BMP compression {} is not supported; convert to JPEG or PNG",
                                   h.compression));
}

Header read_header(Bytes file, const std::string& name, const ImageLimits& limits) {
  Header h;
  if (file.size() < kFileHeader + kCoreHeader) refuse_image(name, "bad BMP: the header is cut off");
  h.pixels_at = little(file, 10, 4);
  h.header_bytes = little(file, 14, 4);
  constexpr std::array<std::size_t, 6> kHeaders = {kCoreHeader, kInfoHeader, 52, 56, 108, 124};
  if (std::find(kHeaders.begin(), kHeaders.end(), h.header_bytes) == kHeaders.end())
    refuse_image(name, fmt::format("BMP header of {} bytes is not supported", h.header_bytes));
  if (file.size() < kFileHeader + h.header_bytes)
    refuse_image(name, "bad BMP: the header is cut off");
  read_sizes(file, h);
  if (h.width < 0) refuse_image(name, fmt::format("bad BMP: its width is {}", h.width));
  check_area(static_cast<std::uint64_t>(h.width), h.rows(), name, limits);
  check_kind(h, name);
  h.palette_at = kFileHeader + h.header_bytes;
  if (h.compression == kBitFields && h.header_bytes == kInfoHeader) h.palette_at += kMaskBytes;
  h.stride = (static_cast<std::size_t>(h.width) * h.depth + 31) / 32 * 4;
  if (h.pixels_at < h.palette_at || h.pixels_at > file.size())
    refuse_image(name, fmt::format("bad BMP: pixels said to start at byte {} of {}", h.pixels_at,
                                   file.size()));
  if (h.stride * h.rows() > file.size() - h.pixels_at)
    refuse_image(name, fmt::format("bad BMP: {} x {} pixels need {} bytes, {} are left", h.width,
                                   h.rows(), h.stride * h.rows(), file.size() - h.pixels_at));
  return h;
}

void put(std::vector<std::uint8_t>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

/// The palette as 2^depth entries of four bytes; colours the file lacks are black.
void put_palette(std::vector<std::uint8_t>& out, Bytes file, const Header& h) {
  const std::size_t room = h.pixels_at - h.palette_at;
  const std::size_t given = std::min(room / h.palette_entry, std::size_t{1} << h.depth);
  for (std::size_t i = 0; i < std::size_t{1} << h.depth; ++i)
    put(out, i < given ? little(file, h.palette_at + i * h.palette_entry, 3) : 0, 4);
}

/// The same picture under a 40-byte header.
std::vector<std::uint8_t> assemble(Bytes file, const Header& h) {
  const bool masks = h.compression == kBitFields;
  const std::size_t extra =
      h.indexed() ? std::size_t{4} << h.depth : (masks ? kMaskBytes : std::size_t{0});
  const std::size_t start = kFileHeader + kInfoHeader + extra, size = h.stride * h.rows();
  std::vector<std::uint8_t> out = {'B', 'M'};
  out.reserve(start + size);
  put(out, start + size, 4);
  put(out, 0, 4);
  put(out, start, 4);
  put(out, kInfoHeader, 4);
  put(out, static_cast<std::uint64_t>(h.width), 4);
  put(out, static_cast<std::uint64_t>(h.height), 4);
  put(out, 1, 2);
  put(out, h.depth, 2);
  put(out, h.compression, 4);
  out.resize(kFileHeader + kInfoHeader);
  if (h.indexed()) put_palette(out, file, h);
  // In every header that has them, the masks stand right after the first 40 bytes.
  for (std::size_t i = 0; masks && i < kMaskBytes; ++i)
    out.push_back(file[kFileHeader + kInfoHeader + i]);
  const Bytes pixels = file.subspan(h.pixels_at, size);
  out.insert(out.end(), pixels.begin(), pixels.end());
  return out;
}

}  // namespace

Image decode_bmp(Bytes bytes, const std::string& name, const ImageLimits& limits) {
  const Header header = read_header(bytes, name, limits);
  const std::size_t area = static_cast<std::size_t>(header.width) * header.rows();
  if (area > std::size_t{1} << 28) refuse_image(name, "the BMP is larger than 1 GiB in memory");
  return decode_with_stb(assemble(bytes, header), name, area * 8 + 65536);
}

}  // namespace affuse
