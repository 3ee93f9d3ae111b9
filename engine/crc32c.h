// The portable CRC-32C; crc32c() of engine/file.h takes it where SSE4.2 is missing.
#pragma once
#include <cstdint>
#include <span>

namespace affuse {

/// CRC-32C by eight tables (slicing-by-8); the same contract as crc32c().
std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0);

}  // namespace affuse
