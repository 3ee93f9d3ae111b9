// JPEG through libjpeg-turbo. A warning is an error: a damaged picture must not become a sample.
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <jpeglib.h>

#include "data/image_codecs.h"
#include "data/image_exif.h"

namespace affuse {
namespace {

/// Scans a progressive file may have (typical files have 10): each costs a pass over the picture.
constexpr int kMaxScans = 100;

/// libjpeg's error manager; it must come first, libjpeg only knows its address.
struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> text;
};

[[noreturn]] void jpeg_fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->text.data());
  std::longjmp(errors->jump, 1);
}

void jpeg_message(j_common_ptr info, int level) {
  if (level < 0) jpeg_fail(info);
}

void jpeg_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->text.data(), errors->text.size(), "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

jpeg_error_mgr* start_errors(JpegErrors& errors) {
  jpeg_error_mgr* manager = jpeg_std_error(&errors.manager);
  manager->error_exit = jpeg_fail;
  manager->emit_message = jpeg_message;
  errors.text[0] = 0;
  return manager;
}

/// Runs `step`, false when libjpeg failed in it. `step` creates no object with a destructor, since
/// libjpeg leaves it by longjmp.
template <class Step>
bool guarded(JpegErrors& errors, Step step) {
  if (setjmp(errors.jump) != 0) return false;
  step();
  return true;
}

struct JpegReader {
  JpegErrors errors{};
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};

  JpegReader() {
    info.err = start_errors(errors);
    progress.progress_monitor = jpeg_progress;
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

struct JpegWriter {
  JpegErrors errors{};
  jpeg_compress_struct info{};
  unsigned char* buffer = nullptr;  // malloc'ed and grown by libjpeg
  unsigned long size = 0;

  JpegWriter() { info.err = start_errors(errors); }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(buffer);
  }
};

[[noreturn]] void refuse_jpeg(const JpegErrors& errors, const std::string& name) {
  refuse_image(name, fmt::format("bad JPEG: {}", errors.text.data()));
}

int saved_orientation(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr m = info.marker_list; m != nullptr; m = m->next) {
    const int orientation = app1_orientation({m->data, m->data_length});
    if (orientation != 1) return orientation;
  }
  return 1;
}

/// A Huffman-coded block takes a bit at least, so a short file cannot claim a large picture.
void check_claim(const jpeg_decompress_struct& info, Bytes bytes, const std::string& name) {
  const std::uint64_t blocks =
      (std::uint64_t{info.image_width} + 7) / 8 * ((std::uint64_t{info.image_height} + 7) / 8);
  if (!info.arith_code && blocks > std::uint64_t{bytes.size()} * 8)
    refuse_image(name, fmt::format("bad JPEG: {} bytes cannot hold {} x {} pixels", bytes.size(),
                                   info.image_width, info.image_height));
}

/// One row of CMYK (as Adobe stores it, inverted, or plain) to RGB: R = (255 - C)(255 - K) / 255.
void cmyk_to_rgb(const JSAMPLE* cmyk, bool inverted, JDIMENSION width, std::uint8_t* rgb) {
  const unsigned flip = inverted ? 0 : 255;
  for (JDIMENSION x = 0; x < width; ++x, cmyk += 4, rgb += 3)
    for (int c = 0; c < 3; ++c)
      rgb[c] = static_cast<std::uint8_t>(((cmyk[c] ^ flip) * (cmyk[3] ^ flip) + 127) / 255);
}

}  // namespace

Image decode_jpeg(Bytes bytes, const std::string& name, const ImageLimits& limits) {
  JpegReader reader;
  jpeg_decompress_struct& info = reader.info;
  const auto open = [&] {
    jpeg_create_decompress(&info);
    info.progress = &reader.progress;
    jpeg_mem_src(&info, bytes.data(), bytes.size());
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&info, TRUE);
  };
  if (!guarded(reader.errors, open)) refuse_jpeg(reader.errors, name);
  check_area(info.image_width, info.image_height, name, limits);
  check_claim(info, bytes, name);

  const bool cmyk = info.num_components == 4;
  const std::size_t stride = std::size_t{info.image_width} * 3;
  Image image{static_cast<int>(info.image_width), static_cast<int>(info.image_height), {}};
  image.rgb.resize(stride * info.image_height);
  std::vector<JSAMPLE> ink(cmyk ? std::size_t{info.image_width} * 4 : 0);
  const auto decode = [&] {
    info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      std::uint8_t* rgb = image.rgb.data() + stride * info.output_scanline;
      JSAMPROW row = cmyk ? ink.data() : rgb;
      jpeg_read_scanlines(&info, &row, 1);
      if (cmyk) cmyk_to_rgb(row, info.saw_Adobe_marker, info.image_width, rgb);
    }
    jpeg_finish_decompress(&info);
  };
  const int orientation = saved_orientation(info);
  if (!guarded(reader.errors, decode)) refuse_jpeg(reader.errors, name);
  return orient_image(std::move(image), orientation);
}

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
  check_image(image);
  if (quality < 1 || quality > 100)
    throw Error(fmt::format("JPEG quality {} is not in [1, 100]", quality));
  JpegWriter writer;
  jpeg_compress_struct& info = writer.info;
  const auto encode = [&] {
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &writer.buffer, &writer.size);
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      const std::size_t offset = std::size_t{info.next_scanline} * info.image_width * 3;
      JSAMPROW row = const_cast<JSAMPROW>(image.rgb.data() + offset);
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
  };
  if (!guarded(writer.errors, encode))
    throw Error(fmt::format("cannot encode a JPEG: {}", writer.errors.text.data()));
  return {writer.buffer, writer.buffer + writer.size};
}

}  // namespace affuse
