// An open file, and what to say when it cannot be written.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace affuse {

/// Owns a file descriptor. Every call goes on after EINTR.
class Descriptor {
 public:
  /// Opens PATH close-on-exec; created with mode 0666 less umask. Not ok() on failure, see errno.
  Descriptor(const std::string& path, int flags);
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  bool ok() const { return fd_ >= 0; }
  int get() const { return fd_; }
  /// All of the bytes, over short writes. These return 0 or the error number.
  int write(std::span<const std::uint8_t> bytes) const;
  int write(std::string_view text) const;
  /// Makes what was written durable; 0 too where the file system cannot sync.
  int sync() const;
  int close();

 private:
  int fd_ = -1;
};

/// Why a file could not be written, by its error number, and what to do where that is known: "No
/// space left on device; free some space".
std::string write_failure(int code);

}  // namespace affuse
