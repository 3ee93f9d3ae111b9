// PNG: the chunks are walked and checked here (ISO/IEC 15948), and stb_image only ever sees a file
// put together from the four that carry the picture.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "data/image_codecs.h"
#include "data/image_exif.h"

namespace affuse {
namespace {

constexpr std::size_t kSignature = 8, kChunkFrame = 12;  // frame: length, type and CRC
/// Deflate's best: 258 bytes from a length code and a distance code of one bit each.
constexpr std::uint64_t kDeflateRatio = 1032;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}

std::uint32_t crc32(Bytes bytes) {
  static constexpr auto kTable = crc_table();
  std::uint32_t crc = ~0u;
  for (const std::uint8_t b : bytes) crc = kTable[(crc ^ b) & 255] ^ (crc >> 8);
  return ~crc;
}

std::uint32_t big32(Bytes b, std::size_t at) {
  return std::uint32_t{b[at]} << 24 | std::uint32_t{b[at + 1]} << 16 |
         std::uint32_t{b[at + 2]} << 8 | b[at + 3];
}

struct Chunk {
  std::string type;
  Bytes data;
  std::size_t end;  ///< where the next chunk starts
};

Chunk read_chunk(Bytes file, std::size_t at, const std::string& name) {
  if (file.size() - at < kChunkFrame)
    refuse_image(name, fmt::format("bad PNG: cut off at byte {}, before IEND", at));
  const std::size_t length = big32(file, at), left = file.size() - at - kChunkFrame;
  Chunk chunk{{}, {}, at + kChunkFrame + length};
  for (std::size_t i = 4; i < 8; ++i) {
    const char c = static_cast<char>(file[at + i]);
    if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z'))
      refuse_image(name, fmt::format("bad PNG: no chunk type at byte {}", at + 4));
    chunk.type += c;
  }
  if (length > left)
    refuse_image(name, fmt::format("bad PNG: chunk {} at byte {} says {} bytes, {} are left",
                                   chunk.type, at, length, left));
  if (crc32(file.subspan(at + 4, length + 4)) != big32(file, at + 8 + length))
    refuse_image(name, fmt::format("bad PNG: checksum of chunk {} at byte {}", chunk.type, at));
  chunk.data = file.subspan(at + 8, length);
  return chunk;
}

struct Header {
  std::uint64_t width, height;
  unsigned depth, colour, channels;
};

Header read_header(Bytes ihdr, const std::string& name, const ImageLimits& limits) {
  if (ihdr.size() != 13) refuse_image(name, "bad PNG: IHDR is not 13 bytes long");
  Header h{big32(ihdr, 0), big32(ihdr, 4), ihdr[8], ihdr[9], 0};
  check_area(h.width, h.height, name, limits);
  constexpr std::array<unsigned, 7> kChannels = {1, 0, 3, 1, 2, 0, 4};
  // Bit d of an entry: depth d is legal for the colour type.
  constexpr std::array<unsigned, 7> kDepths = {0x10116, 0, 0x10100, 0x116, 0x10100, 0, 0x10100};
  if (h.colour > 6 || h.depth > 16 || (kDepths[h.colour] >> h.depth & 1) == 0)
    refuse_image(name, fmt::format("bad PNG: colour type {} with depth {}", h.colour, h.depth));
  if (ihdr[10] != 0 || ihdr[11] != 0 || ihdr[12] > 1)
    refuse_image(name, "bad PNG: unknown compression, filter or interlace method");
  h.channels = kChannels[h.colour];
  return h;
}

/// What the walk keeps of a file.
struct Parts {
  Bytes ihdr, palette;
  std::vector<Bytes> data;
  std::uint64_t data_bytes = 0;
  int orientation = 1;
};

void keep_chunk(const Chunk& chunk, Parts& parts, const std::string& name) {
  if (chunk.type == "IHDR") {
    refuse_image(name, "bad PNG: a second IHDR");
  } else if (chunk.type == "PLTE") {
    if (!parts.palette.empty() || !parts.data.empty() || chunk.data.empty() ||
        chunk.data.size() % 3 != 0 || chunk.data.size() > 768)
      refuse_image(name, "bad PNG: PLTE is misplaced or has a wrong size");
    parts.palette = chunk.data;
  } else if (chunk.type == "IDAT") {
    parts.data.push_back(chunk.data);
    parts.data_bytes += chunk.data.size();
  } else if (chunk.type == "eXIf") {
    parts.orientation = exif_orientation(chunk.data);
  } else if ((chunk.type[0] & 0x20) == 0 && chunk.type != "IEND") {
    refuse_image(name, fmt::format("PNG chunk {} is not known", chunk.type));
  }
}

Parts walk(Bytes file, Chunk chunk, const std::string& name) {
  Parts parts{chunk.data, {}, {}};
  while (chunk.type != "IEND") {
    chunk = read_chunk(file, chunk.end, name);
    keep_chunk(chunk, parts, name);
  }
  return parts;
}

void put_chunk_start(std::vector<std::uint8_t>& out, std::size_t length, std::string_view type) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(length >> shift));
  out.insert(out.end(), type.begin(), type.end());
}

/// Signature, IHDR, PLTE of 256 colours (missing ones black, as stb would read past the end), one
/// IDAT, IEND. Checksums are left 0: stb does not look at them.
std::vector<std::uint8_t> assemble(Bytes file, const Parts& parts, bool indexed) {
  constexpr std::array<std::uint8_t, 4> kNoCrc{};
  std::vector<std::uint8_t> out(file.begin(), file.begin() + kSignature);
  out.reserve(parts.data_bytes + 1024);
  const auto put = [&](Bytes data) { out.insert(out.end(), data.begin(), data.end()); };
  put_chunk_start(out, parts.ihdr.size(), "IHDR");
  put(parts.ihdr);
  put(kNoCrc);
  if (indexed) {
    put_chunk_start(out, 768, "PLTE");
    put(parts.palette);
    out.resize(out.size() + 768 - parts.palette.size());
    put(kNoCrc);
  }
  put_chunk_start(out, parts.data_bytes, "IDAT");
  for (const Bytes data : parts.data) put(data);
  put(kNoCrc);
  put_chunk_start(out, 0, "IEND");
  put(kNoCrc);
  return out;
}

}  // namespace

Image decode_png(Bytes bytes, const std::string& name, const ImageLimits& limits) {
  const Chunk first = read_chunk(bytes, kSignature, name);
  if (first.type != "IHDR") refuse_image(name, "bad PNG: the first chunk is not IHDR");
  const Header header = read_header(first.data, name, limits);
  const Parts parts = walk(bytes, first, name);
  const bool indexed = header.colour == 3;
  if (indexed && parts.palette.empty()) refuse_image(name, "bad PNG: no PLTE");

  const std::uint64_t raw =
      ((header.width * header.channels * header.depth + 7) / 8 + 1) * header.height;
  const std::uint64_t pixel_bytes = header.channels * (header.depth == 16 ? 2u : 1u);
  const std::uint64_t area = header.width * header.height;
  if (raw > parts.data_bytes * kDeflateRatio)
    refuse_image(name, fmt::format("bad PNG: {} bytes of image data cannot hold {} x {} pixels",
                                   parts.data_bytes, header.width, header.height));
  // stb computes sizes in int; its own limit is the same but ignores the depth.
  if (area * pixel_bytes > 1u << 30) refuse_image(name, "the PNG is larger than 1 GiB in memory");
  const std::uint64_t budget =
      parts.data_bytes + 6 * (raw + area * std::max<std::uint64_t>(pixel_bytes, 3)) + 65536;
  Image image = decode_with_stb(assemble(bytes, parts, indexed), name, budget);
  return orient_image(std::move(image), parts.orientation);
}

}  // namespace affuse
