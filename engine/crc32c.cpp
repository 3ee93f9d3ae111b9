// CRC-32C: slicing-by-8 (Kounavis and Berry, 2008), and SSE4.2's instruction where the processor
// has it.
#include "engine/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "engine/file.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace affuse {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: the CRC of byte b followed by k zero bytes.
constexpr Tables make_tables() {
  constexpr std::uint32_t polynomial = 0x82F63B78u;  // 0x1EDC6F41 reflected
  Tables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? polynomial : 0u);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b)
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xFFu];
  return tables;
}
constexpr Tables tables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::span<const std::uint8_t> bytes,
                                                             std::uint32_t crc) {
  std::uint64_t state = ~crc;
  while (bytes.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    state = _mm_crc32_u64(state, word);
    bytes = bytes.subspan(8);
  }
  auto tail = static_cast<std::uint32_t>(state);
  for (const std::uint8_t byte : bytes) tail = _mm_crc32_u8(tail, byte);
  return ~tail;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t crc) {
  crc = ~crc;
  while (bytes.size() >= 8) {
    const auto low = [&bytes, crc](int i) {
      return bytes[static_cast<std::size_t>(i)] ^ ((crc >> (8 * i)) & 0xFFu);
    };
    crc = tables[7][low(0)] ^ tables[6][low(1)] ^ tables[5][low(2)] ^ tables[4][low(3)] ^
          tables[3][bytes[4]] ^ tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
    bytes = bytes.subspan(8);
  }
  for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ tables[0][(crc ^ byte) & 0xFFu];
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
  if (has_sse42) return crc32c_sse42(bytes, crc);
#endif
  return crc32c_portable(bytes, crc);
}

}  // namespace affuse
