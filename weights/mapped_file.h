// A read-only memory map of a whole file.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace affuse {

/// Maps a regular file for as long as it lives. The file must not shrink meanwhile: replace it
/// through write_file_atomic, which leaves the mapped one as it was.
class MappedFile {
 public:
  /// Throws WeightsError: missing, a folder, not a regular file, cannot be mapped.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace affuse
