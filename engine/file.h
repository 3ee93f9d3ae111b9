// Whole files in and out. Writing is atomic: a reader sees the old file or the new one, never a
// part.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace affuse {

/// Reads a whole regular file. Throws DataError: missing, a folder, unreadable, above `max_bytes`.
std::vector<std::uint8_t> read_file(const std::string& path,
                                    std::size_t max_bytes = std::size_t{1} << 40);
std::string read_text(const std::string& path, std::size_t max_bytes = std::size_t{1} << 40);

/// Receives the bytes of a file that is being written, in order.
using ByteSink = std::function<void(std::span<const std::uint8_t>)>;

/// Writes PATH through PATH.tmp in the same folder: write loop with EINTR, fsync, checked close,
/// rename, fsync of the folder. With `keep`, an existing PATH is first renamed to `keep`. On any
/// failure PATH.tmp is removed and FileError names the path, the call and the reason; PATH is
/// untouched, or whole and new where only the fsync of the folder failed.
void write_file_atomic(const std::string& path, const std::function<void(const ByteSink&)>& produce,
                       const std::string& keep = {});
void write_file_atomic(const std::string& path, std::string_view text);
void write_file_atomic(const std::string& path, std::span<const std::uint8_t> bytes);

/// CRC-32C (Castagnoli, reflected, init and xor-out ~0), continued from `crc` (0 to start).
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0);

}  // namespace affuse
