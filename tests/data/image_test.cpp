// Image decoding: JPEG against Pillow's pixels, PNG and BMP of every kind against the samples they
// were built from, EXIF orientation, and the encoders' round trips.
#include "data/image.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/image_exif.h"
#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"
#include "tests/data/image_builders.h"

namespace affuse {
namespace {

using test::ByteVector;

Image noise_image(int width, int height, std::uint32_t seed) {
  Philox random(seed, Purpose::test);
  Image image{width, height, ByteVector(static_cast<std::size_t>(width * height) * 3)};
  for (std::uint8_t& b : image.rgb) b = static_cast<std::uint8_t>(random.bits());
  return image;
}

TEST(ImageJpeg, EqualsPillow) {
  for (const test::Fixture& fixture : test::kJpegFixtures) {
    const Image image = decode_image(test::from_base64(fixture.file), "fixture");
    EXPECT_EQ(image.width, test::kFixtureWidth);
    EXPECT_EQ(image.height, test::kFixtureHeight);
    EXPECT_EQ(image.rgb, test::from_base64(fixture.rgb));
  }
}

TEST(ImageJpeg, CmykWithoutAdobeMarkerIsNotInverted) {
  ByteVector file = test::from_base64(test::kJpegCmyk.file);
  constexpr std::array<std::uint8_t, 2> kApp14 = {0xFF, 0xEE};
  const auto marker = std::search(file.begin(), file.end(), kApp14.begin(), kApp14.end());
  ASSERT_NE(marker, file.end());
  file.erase(marker, marker + 2 + 14);
  const Image plain = decode_image(file, "cmyk"),
              adobe = decode_image(test::from_base64(test::kJpegCmyk.file), "cmyk");
  // R = c k / 255 when inverted and (255 - c)(255 - k) / 255 when not: dark becomes light.
  int opposite = 0;
  for (std::size_t i = 0; i < plain.rgb.size(); ++i)
    opposite += std::abs(int{plain.rgb[i]} - int{adobe.rgb[i]}) > 20;
  EXPECT_GT(opposite, 100);
}

TEST(ImageJpeg, EveryExifOrientationInBothByteOrders) {
  const ByteVector file = test::from_base64(test::kJpegColour.file);
  const Image upright = decode_image(file, "jpeg");
  const int w = upright.width, h = upright.height;
  // Where the pixel (x, y) of the turned picture stands in the stored one (EXIF 2.3, 4.6.4).
  const auto stored = [&](int orientation, int x, int y) -> std::pair<int, int> {
    switch (orientation) {
      case 2:
        return {w - 1 - x, y};
      case 3:
        return {w - 1 - x, h - 1 - y};
      case 4:
        return {x, h - 1 - y};
      case 5:
        return {y, x};
      case 6:
        return {y, h - 1 - x};
      case 7:
        return {w - 1 - y, h - 1 - x};
      case 8:
        return {w - 1 - y, x};
      default:
        return {x, y};
    }
  };
  for (const bool big : {false, true}) {
    for (int orientation = 0; orientation <= 9; ++orientation) {
      const auto value = static_cast<std::uint32_t>(orientation);
      const Image turned =
          decode_image(test::with_exif(file, test::tiff_block(big, 0x112, 3, 1, value)), "exif");
      const bool swap = orientation >= 5 && orientation <= 8;
      ASSERT_EQ(turned.width, swap ? h : w);
      ASSERT_EQ(turned.height, swap ? w : h);
      for (int y = 0; y < turned.height; ++y) {
        for (int x = 0; x < turned.width; ++x) {
          const auto [u, v] = stored(orientation, x, y);
          for (int c = 0; c < 3; ++c)
            ASSERT_EQ(turned.rgb[static_cast<std::size_t>((y * turned.width + x) * 3 + c)],
                      upright.rgb[static_cast<std::size_t>((v * w + u) * 3 + c)])
                << orientation << " at " << x << ", " << y;
        }
      }
    }
  }
}

TEST(ImageJpeg, EncodesAndDecodes) {
  Image image = noise_image(33, 17, 1);
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>(100 + 60 * std::sin(static_cast<double>(i / 3) * .05) +
                                             static_cast<double>(i % 3) * 20);
  const auto error = [&](int quality) {
    const Image back = decode_image(encode_jpeg(image, quality), "jpeg");
    EXPECT_EQ(back.width, 33);
    EXPECT_EQ(back.height, 17);
    double sum = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i)
      sum += std::abs(double{back.rgb[i] * 1.0} - image.rgb[i]);
    return sum / static_cast<double>(image.rgb.size());
  };
  EXPECT_LT(error(100), 0.8);
  EXPECT_LT(error(95), 1.5);
  EXPECT_GT(error(10), error(95));
  EXPECT_THROW(encode_jpeg(image, 0), Error);
  EXPECT_THROW(encode_jpeg(image, 101), Error);
  image.rgb.pop_back();
  EXPECT_THROW(encode_jpeg(image), Error);
  EXPECT_THROW(encode_png(image), Error);
}

// ---- PNG: samples are drawn, packed into a file and compared -----------------------------------

struct PngKind {
  int colour, depth, channels;
};
constexpr std::array kPngKinds = {
    PngKind{0, 1, 1}, PngKind{0, 2, 1},  PngKind{0, 4, 1},  PngKind{0, 8, 1}, PngKind{0, 16, 1},
    PngKind{2, 8, 3}, PngKind{2, 16, 3}, PngKind{3, 1, 1},  PngKind{3, 2, 1}, PngKind{3, 4, 1},
    PngKind{3, 8, 1}, PngKind{4, 8, 2},  PngKind{4, 16, 2}, PngKind{6, 8, 4}, PngKind{6, 16, 4}};

/// The pixels (x0 + i dx, y0 + j dy) as filtered scan lines; filters change from row to row.
void put_pass(ByteVector& raw, const std::vector<unsigned>& samples, const PngKind& kind, int width,
              int height, int x0, int y0, int dx, int dy) {
  if (x0 >= width) return;
  ByteVector above;
  for (int y = y0, line = 0; y < height; y += dy, ++line) {
    ByteVector row;
    unsigned bits = 0;
    int held = 0;
    for (int x = x0; x < width; x += dx) {
      for (int c = 0; c < kind.channels; ++c) {
        const unsigned s = samples[static_cast<std::size_t>((y * width + x) * kind.channels + c)];
        bits = bits << kind.depth | s;
        held += kind.depth;
        for (; held >= 8; held -= 8) row.push_back(static_cast<std::uint8_t>(bits >> (held - 8)));
      }
    }
    if (held > 0) row.push_back(static_cast<std::uint8_t>(bits << (8 - held)));
    const int step = std::max(kind.channels * kind.depth / 8, 1);
    test::put(raw, test::png_filter((line + y0) % 5, row, above, static_cast<std::size_t>(step)));
    above = row;
  }
}

TEST(ImagePng, EveryColourTypeDepthAndInterlace) {
  Philox random(7, Purpose::test);
  for (const PngKind& kind : kPngKinds) {
    for (const auto& [width, height] : {std::pair{13, 9}, std::pair{1, 1}, std::pair{4, 20}}) {
      std::vector<unsigned> samples(static_cast<std::size_t>(width * height * kind.channels));
      for (unsigned& s : samples) s = random.below(1u << kind.depth);
      ByteVector palette(kind.colour == 3 ? std::size_t{3} << kind.depth : 0);
      for (std::uint8_t& b : palette) b = static_cast<std::uint8_t>(random.bits());
      ByteVector expected;
      for (int i = 0; i < width * height; ++i) {
        for (int c = 0; c < 3; ++c) {
          const int channel = kind.channels >= 3 ? c : 0;
          const unsigned s = samples[static_cast<std::size_t>(i * kind.channels + channel)];
          const unsigned top = (1u << kind.depth) - 1;
          expected.push_back(
              static_cast<std::uint8_t>(kind.colour == 3 ? palette[s * 3 + static_cast<unsigned>(c)]
                                        : kind.depth == 16 ? s >> 8
                                                           : s * 255 / top));
        }
      }
      for (const int interlace : {0, 1}) {
        ByteVector raw;
        if (interlace == 0) put_pass(raw, samples, kind, width, height, 0, 0, 1, 1);
        constexpr std::array<std::array<int, 4>, 7> kAdam7 = {{{0, 0, 8, 8},
                                                               {4, 0, 8, 8},
                                                               {0, 4, 4, 8},
                                                               {2, 0, 4, 4},
                                                               {0, 2, 2, 4},
                                                               {1, 0, 2, 2},
                                                               {0, 1, 1, 2}}};
        for (const auto& pass : kAdam7)
          if (interlace == 1)
            put_pass(raw, samples, kind, width, height, pass[0], pass[1], pass[2], pass[3]);
        const ByteVector file = test::png_file(
            {test::png_chunk(
                 "IHDR", test::png_ihdr(static_cast<unsigned>(width), static_cast<unsigned>(height),
                                        kind.depth, kind.colour, interlace)),
             palette.empty() ? ByteVector{} : test::png_chunk("PLTE", palette),
             test::png_chunk("tEXt", {'a', 0, 'b'}),
             test::png_chunk("IDAT", test::zlib_stored(raw))});
        EXPECT_EQ(decode_image(file, "png").rgb, expected)
            << "colour " << kind.colour << " depth " << kind.depth << " interlace " << interlace;
      }
    }
  }
}

TEST(ImagePng, RoundTripAndOrientation) {
  const Image image = noise_image(37, 23, 3);
  const ByteVector file = encode_png(image);
  EXPECT_EQ(decode_image(file, "png").rgb, image.rgb);
  ByteVector turned(file.begin(), file.begin() + 33);
  test::put(turned, test::png_chunk("eXIf", test::tiff_block(true, 0x112, 3, 1, 3)));
  turned.insert(turned.end(), file.begin() + 33, file.end());
  const Image back = decode_image(turned, "png");
  for (std::size_t i = 0; i < 37 * 23; ++i)
    ASSERT_EQ(back.rgb[i * 3], image.rgb[(37 * 23 - 1 - i) * 3]);
}

TEST(ImagePng, MissingPaletteEntriesAreBlack) {
  const ByteVector file = test::png_file({test::png_chunk("IHDR", test::png_ihdr(2, 1, 8, 3)),
                                          test::png_chunk("PLTE", {9, 8, 7}),
                                          test::png_chunk("IDAT", test::zlib_stored({0, 0, 200}))});
  EXPECT_EQ(decode_image(file, "png").rgb, (ByteVector{9, 8, 7, 0, 0, 0}));
}

// ---- BMP ---------------------------------------------------------------------------------------

TEST(ImageBmp, TrueColourBothRowOrders) {
  // Two rows of BGR, padded to 4 bytes.
  const ByteVector pixels = {1, 2, 3, 0, 4, 5, 6, 0};
  for (const std::uint32_t header : {12u, 40u, 56u, 108u, 124u}) {
    test::BmpSpec spec{1, 2, 24, 0, header, {}, 5};
    EXPECT_EQ(decode_image(test::bmp_file(spec, pixels), "bmp").rgb,
              (ByteVector{6, 5, 4, 3, 2, 1}));
    if (header == 12) continue;
    spec.height = -2;
    EXPECT_EQ(decode_image(test::bmp_file(spec, pixels), "bmp").rgb,
              (ByteVector{3, 2, 1, 6, 5, 4}));
  }
}

TEST(ImageBmp, PalettesAndMasks) {
  using V = ByteVector;
  const std::vector<std::uint32_t> two = {0x102030, 0xA0B0C0};
  for (const std::uint32_t header : {12u, 40u}) {
    EXPECT_EQ(decode_image(test::bmp_file({3, 1, 1, 0, header, two}, {0x40, 0, 0, 0}), "1").rgb,
              (V{0x10, 0x20, 0x30, 0xA0, 0xB0, 0xC0, 0x10, 0x20, 0x30}));
    EXPECT_EQ(decode_image(test::bmp_file({2, 1, 4, 0, header, two}, {0x1F, 0, 0, 0}), "4").rgb,
              (V{0xA0, 0xB0, 0xC0, 0, 0, 0}));
    EXPECT_EQ(decode_image(test::bmp_file({2, 1, 8, 0, header, two}, {1, 255, 0, 0}), "8").rgb,
              (V{0xA0, 0xB0, 0xC0, 0, 0, 0}));
  }
  EXPECT_EQ(decode_image(test::bmp_file({1, 1, 16}, {0x1F, 0x7C, 0, 0}), "555").rgb,
            (V{255, 0, 255}));
  for (const std::uint32_t header : {40u, 52u, 56u, 108u, 124u})
    EXPECT_EQ(
        decode_image(
            test::bmp_file({1, 1, 16, 3, header, {0xF800, 0x7E0, 0x1F}}, {0xE0, 0x07, 0, 0}), "565")
            .rgb,
        (V{0, 255, 0}))
        << header;
  EXPECT_EQ(decode_image(test::bmp_file({1, 1, 32}, {1, 2, 3, 4}), "32").rgb, (V{3, 2, 1}));
  EXPECT_EQ(decode_image(test::bmp_file({1, 1, 32, 3, 40, {0xFF, 0xFF00, 0xFF0000}}, {1, 2, 3, 4}),
                         "32 masks")
                .rgb,
            (V{1, 2, 3}));
}

TEST(ImageFile, ReadsFromDiskAndNamesTheFile) {
  const std::string path = testing::TempDir() + "affuse_image_test.anything";
  const Image image = noise_image(5, 4, 9);
  {
    const ByteVector file = encode_png(image);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()),
               static_cast<std::streamsize>(file.size()));
  }
  EXPECT_EQ(read_image(path).rgb, image.rgb);
  EXPECT_THROW(read_image(path, ImageLimits{10, 100}), DataError);
  { std::ofstream empty(path, std::ios::trunc); }
  for (const std::string& bad : {path, path + ".missing"}) {
    try {
      read_image(bad);
      ADD_FAILURE() << "no error";
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(bad), std::string::npos) << e.what();
    }
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace affuse
