// Builds PNG, BMP and EXIF bytes field by field, so that tests can make every kind of file, and
// every kind of broken file.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "tests/data/image_fixtures.h"

namespace affuse::test {

inline void put_big(ByteVector& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
inline void put_little(ByteVector& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
inline void put(ByteVector& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}
inline void put(ByteVector& out, const ByteVector& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// ---- PNG -----------------------------------------------------------------------------------

inline std::uint32_t png_crc(std::string_view type, const ByteVector& data) {
  std::uint32_t crc = ~0u;
  const auto add = [&](std::uint8_t b) {
    crc ^= b;
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  };
  for (const char c : type) add(static_cast<std::uint8_t>(c));
  for (const std::uint8_t b : data) add(b);
  return ~crc;
}

inline ByteVector png_chunk(std::string_view type, const ByteVector& data) {
  ByteVector out;
  put_big(out, data.size(), 4);
  put(out, type);
  put(out, data);
  put_big(out, png_crc(type, data), 4);
  return out;
}

inline ByteVector png_ihdr(std::uint64_t width, std::uint64_t height, int depth, int colour,
                           int interlace = 0) {
  ByteVector out;
  put_big(out, width, 4);
  put_big(out, height, 4);
  for (const int b : {depth, colour, 0, 0, interlace}) put_big(out, static_cast<unsigned>(b), 1);
  return out;
}

/// Signature, the chunks, IEND.
inline ByteVector png_file(std::initializer_list<ByteVector> chunks) {
  ByteVector out;
  put(out, "\x89PNG\r\n\x1A\n");
  for (const ByteVector& chunk : chunks) put(out, chunk);
  put(out, png_chunk("IEND", {}));
  return out;
}

/// A zlib stream of stored blocks (RFC 1950, 1951).
inline ByteVector zlib_stored(const ByteVector& data) {
  ByteVector out = {0x78, 0x01};
  std::size_t at = 0;
  do {
    const std::size_t n = std::min<std::size_t>(data.size() - at, 65535);
    out.push_back(at + n == data.size() ? 1 : 0);
    put_little(out, n, 2);
    put_little(out, n ^ 0xFFFF, 2);
    for (std::size_t i = 0; i < n; ++i) out.push_back(data[at + i]);
    at += n;
  } while (at < data.size());
  std::uint32_t a = 1, b = 0;
  for (const std::uint8_t byte : data) b = (b + (a = (a + byte) % 65521)) % 65521;
  put_big(out, b << 16 | a, 4);
  return out;
}

/// One scan line under PNG filter 0-4; `step` is the bytes a pixel (at least 1).
inline ByteVector png_filter(int filter, const ByteVector& row, const ByteVector& above,
                             std::size_t step) {
  ByteVector out = {static_cast<std::uint8_t>(filter)};
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int left = i >= step ? row[i - step] : 0, up = above.empty() ? 0 : above[i];
    const int corner = i >= step && !above.empty() ? above[i - step] : 0;
    const int p = left + up - corner;
    const int pa = std::abs(p - left), pb = std::abs(p - up), pc = std::abs(p - corner);
    const int paeth = pa <= pb && pa <= pc ? left : pb <= pc ? up : corner;
    const std::array<int, 5> predicted = {0, left, up, (left + up) / 2, paeth};
    out.push_back(static_cast<std::uint8_t>(row[i] - predicted[static_cast<std::size_t>(filter)]));
  }
  return out;
}

// ---- BMP -----------------------------------------------------------------------------------

struct BmpSpec {
  int width = 1, height = 1, depth = 24;  ///< height < 0: rows from the top
  std::uint32_t compression = 0, header = 40;
  std::vector<std::uint32_t> extra = {};  ///< masks or palette, 4 bytes each (3 with header 12)
  std::size_t gap = 0;                    ///< unused bytes before the pixels
};

inline ByteVector bmp_file(const BmpSpec& spec, const ByteVector& pixels) {
  ByteVector header;
  const int size = spec.header == 12 ? 2 : 4;
  put_little(header, spec.header, 4);
  put_little(header, static_cast<std::uint32_t>(spec.width), size);
  put_little(header, static_cast<std::uint32_t>(spec.height), size);
  put_little(header, 1, 2);
  put_little(header, static_cast<unsigned>(spec.depth), 2);
  if (spec.header != 12) put_little(header, spec.compression, 4);
  // In headers above 40 bytes the masks are a part of the header.
  const bool inside = spec.header > 40 && spec.compression == 3;
  if (!inside) header.resize(spec.header);
  if (inside) header.resize(40);
  for (const std::uint32_t e : spec.extra) put_little(header, e, spec.header == 12 ? 3 : 4);
  if (inside) header.resize(spec.header);
  header.resize(header.size() + spec.gap);
  ByteVector out;
  put(out, "BM");
  put_little(out, 14 + header.size() + pixels.size(), 4);
  put_little(out, 0, 4);
  put_little(out, 14 + header.size(), 4);
  put(out, header);
  put(out, pixels);
  return out;
}

// ---- EXIF ----------------------------------------------------------------------------------

/// A TIFF block whose directory (at byte 8) is one entry.
inline ByteVector tiff_block(bool big, std::uint32_t tag, std::uint32_t type, std::uint32_t count,
                             std::uint32_t value, std::uint32_t directory = 8,
                             std::uint32_t entries = 1) {
  ByteVector out;
  const auto number = [&](std::uint64_t n, int bytes) {
    big ? put_big(out, n, bytes) : put_little(out, n, bytes);
  };
  put(out, big ? "MM" : "II");
  number(42, 2);
  number(directory, 4);
  number(entries, 2);
  number(tag, 2);
  number(type, 2);
  number(count, 4);
  number(value, 2);
  number(0, 2);
  number(8, 4);  // the next directory is this one: a loop
  return out;
}

/// The JPEG with an APP1 segment "Exif\0\0" + tiff right after its SOI.
inline ByteVector with_exif(const ByteVector& jpeg, const ByteVector& tiff) {
  ByteVector out = {0xFF, 0xD8, 0xFF, 0xE1};
  put_big(out, 8 + tiff.size(), 2);
  put(out, std::string_view("Exif\0\0", 6));
  put(out, tiff);
  out.insert(out.end(), jpeg.begin() + 2, jpeg.end());
  return out;
}

}  // namespace affuse::test
