// Images as an enemy or a failing disk would write them: every one must be refused with a DataError
// that names the file, or give a whole image, within bounded memory.
#include <algorithm>
#include <string>

#include "data/image.h"
#include "data/image_exif.h"
#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"
#include "tests/data/image_builders.h"

namespace affuse {
namespace {

using test::ByteVector;
using test::png_chunk;
using test::png_file;
using test::png_ihdr;

/// The message of the DataError that decoding throws; empty when an image comes out.
std::string refusal(const ByteVector& bytes, const ImageLimits& limits = {}) {
  try {
    const Image image = decode_image(bytes, "hostile.img", limits);
    EXPECT_GT(image.width, 0);
    EXPECT_GT(image.height, 0);
    EXPECT_EQ(image.rgb.size(),
              static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    return {};
  } catch (const DataError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("hostile.img: ")) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    return e.what();
  }
}

void expect_refused(const ByteVector& bytes, std::string_view reason) {
  const std::string message = refusal(bytes);
  EXPECT_NE(message.find(reason), std::string::npos) << "'" << message << "' lacks " << reason;
}

ByteVector text(std::string_view s) { return {s.begin(), s.end()}; }

ByteVector small_png(int colour, const ByteVector& raw, std::uint32_t width, std::uint32_t height) {
  return png_file({png_chunk("IHDR", png_ihdr(width, height, 8, colour)),
                   png_chunk("IDAT", test::zlib_stored(raw))});
}

Image noise(int width, int height) {
  Philox random(11, Purpose::test);
  Image image{width, height, ByteVector(static_cast<std::size_t>(width * height) * 3)};
  for (std::uint8_t& b : image.rgb) b = static_cast<std::uint8_t>(random.bits() & 0xF0);
  return image;
}

std::vector<ByteVector> valid_files() {
  std::vector<ByteVector> files;
  for (const test::Fixture& f : test::kJpegFixtures) files.push_back(test::from_base64(f.file));
  files.push_back(test::with_exif(test::from_base64(test::kJpegGrey.file),
                                  test::tiff_block(false, 0x112, 3, 1, 6)));
  files.push_back(encode_png(noise(9, 5)));
  files.push_back(small_png(0, {0, 1, 2, 3, 4, 5}, 2, 2));
  files.push_back(test::bmp_file({3, 2, 24}, ByteVector(24, 77)));
  files.push_back(test::bmp_file({3, 2, 8, 0, 40, {1, 2, 3}}, ByteVector(8, 2)));
  files.push_back(test::bmp_file({2, 2, 16, 3, 56, {0xF800, 0x7E0, 0x1F}}, ByteVector(8, 2)));
  return files;
}

TEST(ImageHostile, EveryTruncationIsRefused) {
  for (const ByteVector& file : valid_files()) {
    ASSERT_EQ(refusal(file), "");
    for (std::size_t n = 0; n < file.size(); ++n)
      ASSERT_NE(refusal({file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n)}), "")
          << n << " of " << file.size() << " bytes";
  }
}

TEST(ImageHostile, FlippedBitsNeverBreakADecoder) {
  Philox random(2024, Purpose::test);
  const std::vector<ByteVector> files = valid_files();
  int refused = 0, trials = 0;
  for (const ByteVector& file : files) {
    for (int trial = 0; trial < 600; ++trial, ++trials) {
      ByteVector bad = file;
      for (std::uint32_t flips = 1 + random.below(8); flips > 0; --flips)
        bad[random.below(static_cast<std::uint32_t>(bad.size()))] ^=
            static_cast<std::uint8_t>(1u << random.below(8));
      refused += refusal(bad) != "";
    }
  }
  EXPECT_GT(refused, trials / 2);
}

TEST(ImageHostile, BrokenDeflateBehindGoodChecksums) {
  Philox random(2025, Purpose::test);
  const ByteVector file = encode_png(noise(19, 11));
  // Signature 8, IHDR 25, IDAT (frame 12), IEND 12.
  const ByteVector stream(file.begin() + 41, file.end() - 16);
  int refused = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    ByteVector bad = stream;
    for (std::uint32_t flips = 1 + random.below(4); flips > 0; --flips)
      bad[random.below(static_cast<std::uint32_t>(bad.size()))] ^=
          static_cast<std::uint8_t>(1u << random.below(8));
    constexpr std::array kColours = {0, 2, 3, 4, 6};
    const int colour = trial % 2 == 0 ? 2 : kColours[random.below(5)];
    const ByteVector ihdr = png_ihdr(19, 11, 8, colour, trial % 3 == 0);
    const ByteVector plte = colour == 3 ? png_chunk("PLTE", {1, 2, 3}) : ByteVector{};
    refused += refusal(png_file({png_chunk("IHDR", ihdr), plte, png_chunk("IDAT", bad)})) != "";
  }
  EXPECT_GT(refused, 1000);
}

TEST(ImageHostile, SmallFilesCannotClaimLargePictures) {
  // 69 bytes that make stb_image ask for 2.1 GB.
  const ByteVector bomb = png_file(
      {png_chunk("IHDR", png_ihdr(16777216, 31, 16, 2)), png_chunk("IDAT", test::zlib_stored({}))});
  EXPECT_LE(bomb.size(), 69u);
  expect_refused(bomb, "data.max_pixels");
  expect_refused(small_png(6, {}, 8000, 8000), "cannot hold 8000 x 8000 pixels");
  expect_refused(small_png(6, {}, 0x80000001, 0xFFFFFFFF), "data.max_pixels");
  ByteVector jpeg = test::from_base64(test::kJpegGrey.file);
  constexpr std::array<std::uint8_t, 4> kSof = {0xFF, 0xC0, 0, 11};
  const auto sof = std::search(jpeg.begin(), jpeg.end(), kSof.begin(), kSof.end());
  ASSERT_NE(sof, jpeg.end());
  for (int i = 5; i < 9; i += 2) sof[i] = 0x1F;  // height and width 0x1F..
  expect_refused(jpeg, "cannot hold");
  for (int i = 5; i < 9; i += 2) sof[i] = 0xFF;  // 0xFF.. is 65287 at least
  expect_refused(jpeg, "data.max_pixels");
  for (const auto& [width, height] : {std::pair{0x7FFFFFFF, 1}, std::pair{1, -0x7FFFFFFF - 1},
                                      std::pair{0x7FFFFFFF, 0x7FFFFFFF}, std::pair{-4, 4}})
    EXPECT_NE(refusal(test::bmp_file({width, height, 24}, ByteVector(48))), "");
  expect_refused(test::bmp_file({8000, 8000, 1}, ByteVector(48)), "need 8000000 bytes");
}

TEST(ImageHostile, DataLongerThanTheHeaderSaysIsBounded) {
  expect_refused(small_png(0, ByteVector(2 << 20), 1, 1), "longer than its header says");
}

TEST(ImageHostile, EachFailureHasItsOwnReason) {
  const ByteVector ihdr = png_chunk("IHDR", png_ihdr(1, 1, 8, 0));
  expect_refused(png_file({ihdr, png_chunk("IDAT", {1, 2, 3, 4})}), "bad zlib header");
  // A block of the reserved type: stb gives no reason, and must not repeat the last one.
  expect_refused(png_file({ihdr, png_chunk("IDAT", {0x78, 0x01, 7, 0})}), "damaged");
}

TEST(ImageHostile, ScansAreCounted) {
  const ByteVector file = test::from_base64(test::kJpegScans.file);
  constexpr std::array<std::uint8_t, 2> kSos = {0xFF, 0xDA}, kDht = {0xFF, 0xC4};
  const auto first = std::search(file.begin(), file.end(), kSos.begin(), kSos.end());
  const auto second = std::search(first, file.end(), kDht.begin(), kDht.end());
  ASSERT_NE(second, file.end());
  const auto repeated = [&](int times) {
    ByteVector out(file.begin(), first);
    for (int i = 0; i < times; ++i) out.insert(out.end(), first, second);
    out.insert(out.end(), second, file.end());
    return out;
  };
  EXPECT_EQ(refusal(repeated(1)), "");
  EXPECT_EQ(refusal(repeated(20)), "");
  expect_refused(repeated(2000), "more than 100 scans");
}

TEST(ImageHostile, ZeroSizesAreRefused) {
  for (const auto& [w, h] : {std::pair{0u, 4u}, std::pair{4u, 0u}, std::pair{0u, 0u}}) {
    expect_refused(small_png(0, {0, 0}, w, h), "has size");
    expect_refused(test::bmp_file({static_cast<int>(w), static_cast<int>(h), 24}, ByteVector(48)),
                   "has size");
  }
  ByteVector jpeg = test::from_base64(test::kJpegGrey.file);
  constexpr std::array<std::uint8_t, 4> kSof = {0xFF, 0xC0, 0, 11};
  const auto sof = std::search(jpeg.begin(), jpeg.end(), kSof.begin(), kSof.end());
  ASSERT_NE(sof, jpeg.end());
  sof[7] = sof[8] = 0;
  expect_refused(jpeg, "bad JPEG");
}

TEST(ImageHostile, PngStructure) {
  const ByteVector ihdr = png_chunk("IHDR", png_ihdr(1, 1, 8, 0));
  const ByteVector idat = png_chunk("IDAT", test::zlib_stored({0, 5}));
  ASSERT_EQ(refusal(png_file({ihdr, idat})), "");
  expect_refused(png_file({}), "not IHDR");
  expect_refused(png_file({idat, ihdr}), "not IHDR");
  expect_refused(png_file({ihdr}), "cannot hold");
  expect_refused(png_file({ihdr, ihdr, idat}), "second IHDR");
  expect_refused(png_file({ihdr, png_chunk("CgBI", {1, 2, 3, 4}), idat}), "CgBI");
  expect_refused(png_file({ihdr, png_chunk("a\nbc", {}), idat}), "no chunk type");
  expect_refused(png_file({ihdr, png_chunk("PLTE", {1, 2}), idat}), "PLTE");
  expect_refused(png_file({png_chunk("IHDR", png_ihdr(1, 1, 8, 3)), idat}), "no PLTE");
  expect_refused(
      png_file({png_chunk("IHDR", png_ihdr(1, 1, 8, 3)), idat, png_chunk("PLTE", {1, 2, 3})}),
      "PLTE");
  for (const auto& [depth, colour] : {std::pair{4, 2}, std::pair{16, 3}, std::pair{3, 0},
                                      std::pair{8, 5}, std::pair{0, 0}, std::pair{8, 200}})
    expect_refused(png_file({png_chunk("IHDR", png_ihdr(1, 1, depth, colour)), idat}),
                   "colour type");
  expect_refused(png_file({png_chunk("IHDR", png_ihdr(1, 1, 8, 0, 2)), idat}), "interlace");
  ByteVector lying = png_file({ihdr, idat});
  lying[33] = 0x7F;  // the length of IDAT
  expect_refused(lying, "are left");
  ByteVector damaged = png_file({ihdr, idat});
  damaged[45] ^= 1;
  expect_refused(damaged, "checksum of chunk IDAT");
}

TEST(ImageHostile, BmpStructure) {
  const ByteVector good = test::bmp_file({2, 1, 24}, ByteVector(8));
  ASSERT_EQ(refusal(good), "");
  const auto with = [&](std::size_t at, std::uint8_t value) {
    ByteVector bad = good;
    bad[at] = value;
    return bad;
  };
  expect_refused(with(10, 20), "pixels said to start");  // inside the header
  expect_refused(with(13, 0x7F), "pixels said to start");
  expect_refused(with(14, 64), "header of 64 bytes");
  expect_refused(with(28, 2), "2 bits a pixel");
  expect_refused(with(30, 1), "compression 1");
  expect_refused(with(30, 3), "compression 3");
  for (const std::uint32_t mask : {0u, 0xFFFFu})
    expect_refused(test::bmp_file({1, 1, 32, 3, 40, {0xFF0000, 0xFF00, mask}}, ByteVector(4)),
                   "bad");
}

TEST(ImageHostile, ExifIsReadInBoundsOrIgnored) {
  const ByteVector jpeg = test::from_base64(test::kJpegColour.file);
  const auto ignored = [&](const ByteVector& tiff) {
    EXPECT_EQ(exif_orientation(tiff), 1);
    const Image image = decode_image(test::with_exif(jpeg, tiff), "exif");
    EXPECT_EQ(image.rgb, test::from_base64(test::kJpegColour.rgb));
  };
  for (const bool big : {false, true}) {
    ASSERT_EQ(exif_orientation(test::tiff_block(big, 0x112, 3, 1, 6)), 6);
    for (const std::uint32_t directory : {0u, 1u, 7u, 23u, 25u, 26u, 0x7FFFFFFFu, 0xFFFFFFFFu})
      ignored(test::tiff_block(big, 0x112, 3, 1, 6, directory));
    ignored(test::tiff_block(big, 0x113, 3, 1, 6, 8, 65535));  // more entries than bytes
    ignored(test::tiff_block(big, 0x112, 3, 1, 6, 8, 0));
    ignored(test::tiff_block(big, 0x112, 4, 1, 6));
    ignored(test::tiff_block(big, 0x112, 3, 2, 6));
    ignored(test::tiff_block(big, 0x112, 3, 0xFFFFFFFF, 6));
    for (const std::uint32_t value : {0u, 9u, 255u, 65535u})
      ignored(test::tiff_block(big, 0x112, 3, 1, value));
    ByteVector whole = test::tiff_block(big, 0x112, 3, 1, 6);
    for (std::size_t n = 0; n < 22; ++n)
      ignored({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)});
    whole[2] = whole[3] = 0;
    ignored(whole);
  }
  EXPECT_EQ(app1_orientation(text("http://ns.adobe.com/xap/1.0/")), 1);
  EXPECT_EQ(app1_orientation({}), 1);
  Philox random(3, Purpose::test);
  for (int trial = 0; trial < 20000; ++trial) {
    ByteVector tiff = test::tiff_block(trial % 2 == 0, 0x112, 3, 1, 6);
    for (std::uint32_t flips = random.below(12); flips > 0; --flips)
      tiff[random.below(static_cast<std::uint32_t>(tiff.size()))] =
          static_cast<std::uint8_t>(random.bits());
    const int orientation = exif_orientation(tiff);
    ASSERT_TRUE(orientation >= 1 && orientation <= 8);
  }
}

TEST(ImageHostile, OtherFormatsAreNamed) {
  using std::string_view_literals::operator""sv;
  for (const auto& [bytes, format] :
       {std::pair{"GIF89a\1\0\1\0"sv, "GIF is not"sv}, std::pair{"II*\0\x08\0\0\0"sv, "TIFF is"sv},
        std::pair{"MM\0*\0\0\0\x08"sv, "TIFF is"sv},
        std::pair{"RIFF\x24\0\0\0WEBPVP8 "sv, "WebP is"sv},
        std::pair{"\0\0\0\x18"
                  "ftypheic"sv,
                  "HEIC"sv},
        std::pair{"8BPS\0\1"sv, "PSD is"sv}, std::pair{"\0\0\0\x0CjP  \r\n"sv, "JPEG 2000 is"sv},
        std::pair{"P6\n1 1\n"sv, "PPM is"sv}}) {
    expect_refused(text(bytes), format);
    expect_refused(text(bytes), "convert to JPEG or PNG");
  }
  expect_refused(text("<html><body>404"), "starts with bytes 3c 68 74 6d");
  expect_refused(text("\xFF\xD8"), "not a JPEG, PNG or BMP");
  expect_refused({}, "empty");
}

TEST(ImageHostile, LimitsAreTheCallers) {
  const ByteVector png = encode_png(noise(9, 5));
  EXPECT_EQ(refusal(png, {png.size(), 45}), "");
  EXPECT_NE(refusal(png, {png.size(), 44}).find("limit of 44"), std::string::npos);
  EXPECT_NE(refusal(png, {png.size() - 1, 45}).find("max_file_bytes"), std::string::npos);
  const ByteVector jpeg = test::from_base64(test::kJpegColour.file);
  EXPECT_EQ(refusal(jpeg, {1000, 77}), "");
  EXPECT_NE(refusal(jpeg, {1000, 76}), "");
}

}  // namespace
}  // namespace affuse
