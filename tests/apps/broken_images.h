// Images as failing disks, careless tools and enemies leave them, each with the reason that
// skipped.csv gives; and odd ones that are whole.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/data/image_builders.h"
#include "tests/data/scratch.h"

namespace affuse::test {

struct BrokenImage {
  std::string name, reason;
  ByteVector bytes;
};

inline ByteVector text_bytes(std::string_view text) { return {text.begin(), text.end()}; }
inline ByteVector first(const ByteVector& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

/// A JPEG with the bytes behind a marker (0 and 1: its length) changed.
inline ByteVector changed(ByteVector jpeg, std::uint8_t marker,
                          const std::vector<std::pair<std::ptrdiff_t, std::uint8_t>>& changes) {
  const std::array<std::uint8_t, 2> wanted = {0xFF, marker};
  const auto found = std::search(jpeg.begin(), jpeg.end(), wanted.begin(), wanted.end());
  EXPECT_NE(found, jpeg.end());
  for (const auto& [at, value] : changes) found[at + 2] = value;
  return jpeg;
}

inline std::vector<BrokenImage> broken_jpegs() {
  const ByteVector whole = encode_jpeg(scratch::picture(40, 40, 1));
  constexpr std::uint8_t kSof = 0xC0, kHuffman = 0xC4, kScan = 0xDA;
  const auto sized = [&](std::uint8_t height, std::uint8_t width) {
    return changed(whole, kSof, {{3, height}, {4, height}, {5, width}, {6, width}});
  };
  return {
      {"cut_10.jpg", "bad JPEG: Premature end of JPEG file", first(whole, 10)},
      {"cut_300.jpg", "bad JPEG: Premature end of JPEG file", first(whole, 300)},
      {"cut_half.jpg", "bad JPEG: Premature end of JPEG file", first(whole, whole.size() - 400)},
      {"cut_end.jpg", "bad JPEG: Premature end of JPEG file", first(whole, whole.size() - 2)},
      {"huffman_counts.jpg", "bad JPEG: Bogus Huffman table definition",
       changed(whole, kHuffman, {{3, 255}})},
      {"huffman_table.jpg", "bad JPEG: Huffman table 0x03 was not defined",
       changed(whole, kScan, {{4, 0x33}})},
      {"noise_inside.jpg", "bad JPEG: Corrupt JPEG data: premature end of data segment",
       changed(whole, kScan, {{40, 0xFF}, {41, 0x5A}})},
      {"too_tall.jpg", "bad JPEG: 1060 bytes cannot hold 7967 x 7967 pixels", sized(0x1F, 0x1F)},
      {"no_size.jpg", "bad JPEG: Empty JPEG image (DNL not supported)", sized(0, 0)},
      {"all_65535.jpg", "bad JPEG: Maximum supported image dimension is 65500 pixels",
       sized(0xFF, 0xFF)},
      {"less_than_it_holds.jpg",
       "bad JPEG: Corrupt JPEG data: 340 extraneous bytes before marker 0xd9",
       changed(whole, kSof, {{4, 8}})},
      {"12_bit.jpg", "bad JPEG: Unsupported JPEG data precision 12",
       changed(whole, kSof, {{2, 12}})},
      {"lossless.jpg", "bad JPEG: Unsupported JPEG process: SOF type 0xc3",
       changed(whole, kSof, {{-1, 0xC3}})},
  };
}

inline std::vector<BrokenImage> broken_pngs() {
  const auto ihdr = [](std::uint64_t width, std::uint64_t height, int interlace = 0) {
    return png_chunk("IHDR", png_ihdr(width, height, 8, 2, interlace));
  };
  const auto idat = [](std::size_t bytes) {
    return png_chunk("IDAT", zlib_stored(ByteVector(bytes)));
  };
  const ByteVector whole = png_file({ihdr(2, 2), idat(14)});
  ByteVector checksum = whole, length = whole;
  checksum[45] ^= 1;
  length[33] = 0x7F;
  return {
      {"checksum.png", "bad PNG: checksum of chunk IDAT at byte 33", checksum},
      {"length.png", "bad PNG: chunk IDAT at byte 33 says 2130706457 bytes, 37 are left", length},
      {"cut.png", "bad PNG: cut off at byte 70, before IEND", first(whole, whole.size() - 12)},
      {"no_deflate.png", "bad image: bad zlib header",
       png_file({ihdr(2, 2), png_chunk("IDAT", {1, 2, 3, 4})})},
      {"few_rows.png", "bad image: not enough pixels", png_file({ihdr(2, 2), idat(7)})},
      {"no_size.png", "the image has size 0 x 0", png_file({ihdr(0, 0), idat(1)})},
      {"huge.png",
       "2147483647 x 2147483647 pixels are more than the limit of 67108864 (raise data.max_pixels "
       "or shrink the image)",
       png_file({ihdr(0x7FFFFFFF, 0x7FFFFFFF), idat(1)})},
      {"claim.png", "bad PNG: 12 bytes of image data cannot hold 8000 x 8000 pixels",
       png_file({ihdr(8000, 8000), idat(1)})},
      {"interlaced_claim.png", "bad PNG: 60011 bytes of image data cannot hold 8000 x 8000 pixels",
       png_file({ihdr(8000, 8000, 1), idat(60000)})},
      {"bomb.png", "bad image: its data is longer than its header says",
       png_file({ihdr(1, 1), idat(1 << 20)})},
  };
}

inline std::vector<BrokenImage> broken_others() {
  using std::string_view_literals::operator""sv;
  return {
      {"negative.bmp", "bad BMP: its width is -4", bmp_file({-4, 4, 24}, ByteVector(48))},
      {"huge.bmp",
       "2147483647 x 2147483647 pixels are more than the limit of 67108864 (raise data.max_pixels "
       "or shrink the image)",
       bmp_file({0x7FFFFFFF, 0x7FFFFFFF, 24}, ByteVector(48))},
      {"cut.bmp", "bad BMP: 4 x 4 pixels need 48 bytes, 47 are left",
       bmp_file({4, 4, 24}, ByteVector(47))},
      {"packed.bmp", "BMP compression 1 is not supported; convert to JPEG or PNG",
       bmp_file({4, 4, 8, 1}, ByteVector(48))},
      {"empty.jpg", "the file is empty", {}},
      {"text.jpg", "not a JPEG, PNG or BMP image (it starts with bytes 6e 6f 20 69)",
       text_bytes("no image at all")},
      {"not_found.jpg", "not a JPEG, PNG or BMP image (it starts with bytes 3c 68 74 6d)",
       text_bytes("<html><body>404 Not Found")},
      {"animated.gif", "GIF is not supported; convert to JPEG or PNG",
       text_bytes("GIF89a\1\0\1\0"sv)},
      {"really_webp.jpg", "WebP is not supported; convert to JPEG or PNG",
       text_bytes("RIFF\x24\0\0\0WEBPVP8 "sv)},
      {"scan.tif", "TIFF is not supported; convert to JPEG or PNG",
       text_bytes("II*\0\x08\0\0\0"sv)},
      {"phone.jpg", "HEIC, AVIF or MP4 is not supported; convert to JPEG or PNG",
       text_bytes("\0\0\0\x18"
                  "ftypheic"sv)},
  };
}

inline std::vector<BrokenImage> broken_images() {
  std::vector<BrokenImage> all = broken_jpegs();
  for (const auto& more : {broken_pngs(), broken_others()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// Whole pictures that look odd.
inline std::vector<std::pair<std::string, ByteVector>> odd_images() {
  const ByteVector jpeg = from_base64(kJpegColour.file);
  return {{"cmyk.jpg", from_base64(kJpegCmyk.file)},
          {"ycck.jpg", from_base64(kJpegYcck.file)},
          {"progressive.jpg", from_base64(kJpegProgressive.file)},
          {"grey.jpg", from_base64(kJpegGrey.file)},
          {"exif_loop.jpg", with_exif(jpeg, tiff_block(false, 0x113, 3, 1, 6))},
          {"exif_outside.jpg", with_exif(jpeg, tiff_block(true, 0x112, 3, 1, 6, 0xFFFFFFFF))},
          {"really_png.jpg", encode_png(scratch::picture(9, 5, 3))},
          {"bottom_up.bmp", bmp_file({3, -2, 24}, ByteVector(24, 77))},
          {"name, with \"signs\" \xC3\xA9.JPG", jpeg}};
}

}  // namespace affuse::test
