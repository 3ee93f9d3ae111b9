// Whole files in and out over POSIX calls, with every status checked.
#include "engine/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/descriptor.h"
#include "engine/error.h"

namespace affuse {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

[[noreturn]] void fail(const std::string& path, const char* call, int code) {
  throw FileError(path + ": " + call + ": " + write_failure(code));
}

/// Reads up to the size that the file had when it was opened.
template <class Bytes>
Bytes read_all(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK keeps a FIFO from blocking the open; it means nothing to a regular file.
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  if (!file.ok()) throw DataError(path + ": cannot be opened: " + reason(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw DataError(path + ": fstat: " + reason(errno));
  if (S_ISDIR(info.st_mode)) throw DataError(path + ": is a folder, not a file");
  if (!S_ISREG(info.st_mode)) throw DataError(path + ": is not a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size > max_bytes)
    throw DataError(path + ": is " + std::to_string(size) + " bytes large; the limit is " +
                    std::to_string(max_bytes));
  Bytes bytes(size, 0);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.get(), bytes.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(path + ": cannot be read: " + reason(errno));
    if (n == 0) throw DataError(path + ": shrank while it was read");
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

/// PATH.tmp: collects small writes and removes itself unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const std::string& path)
      : path_(path + ".tmp"), file_(path_, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW) {
    if (!file_.ok()) fail(path_, "open", errno);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (!renamed_) ::unlink(path_.c_str());
  }

  void append(std::span<const std::uint8_t> bytes) {
    if (buffer_.size() + bytes.size() > capacity) flush();
    if (bytes.size() > capacity)
      write(bytes);
    else
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }

  /// Makes the bytes durable.
  void finish() {
    flush();
    if (const int code = file_.sync()) fail(path_, "fsync", code);
    if (const int code = file_.close()) fail(path_, "close", code);
  }

  /// Returns 0 or the error.
  int rename_to(const std::string& path) {
    renamed_ = ::rename(path_.c_str(), path.c_str()) == 0;
    return renamed_ ? 0 : errno;
  }

 private:
  static constexpr std::size_t capacity = std::size_t{1} << 16;

  void flush() {
    write(buffer_);
    buffer_.clear();
  }

  void write(std::span<const std::uint8_t> bytes) {
    if (const int code = file_.write(bytes)) fail(path_, "write", code);
  }

  std::string path_;
  Descriptor file_;
  std::vector<std::uint8_t> buffer_;
  bool renamed_ = false;
};

/// Whether PATH exists; anything but a regular file there is refused.
bool existing_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    fail(path, "stat", errno);
  }
  if (!S_ISREG(info.st_mode)) throw FileError(path + ": exists and is not a regular file");
  return true;
}

/// Gives the file at PATH the name `keep`. A hard link leaves PATH in place, so that a crash at any
/// moment finds it; file systems without links get a rename. Returns whether PATH is gone.
bool keep_as(const std::string& path, const std::string& keep) {
  if (::unlink(keep.c_str()) != 0 && errno != ENOENT) fail(keep, "unlink", errno);
  if (::link(path.c_str(), keep.c_str()) == 0) return false;
  if (::rename(path.c_str(), keep.c_str()) != 0) fail(path, "rename to the kept name", errno);
  return true;
}

void sync_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (!descriptor.ok()) fail(folder, "open", errno);
  if (const int code = descriptor.sync()) fail(folder, "fsync of the folder", code);
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path, std::size_t max_bytes) {
  return read_all<std::vector<std::uint8_t>>(path, max_bytes);
}

std::string read_text(const std::string& path, std::size_t max_bytes) {
  return read_all<std::string>(path, max_bytes);
}

void write_file_atomic(const std::string& path, const std::function<void(const ByteSink&)>& produce,
                       const std::string& keep) {
  const bool exists = existing_file(path);
  Temporary temporary(path);
  produce([&temporary](std::span<const std::uint8_t> bytes) { temporary.append(bytes); });
  temporary.finish();
  const bool moved = exists && !keep.empty() && keep_as(path, keep);
  if (const int code = temporary.rename_to(path)) {
    if (moved) std::rename(keep.c_str(), path.c_str());
    fail(path, "rename", code);
  }
  sync_folder(path);
}

void write_file_atomic(const std::string& path, std::span<const std::uint8_t> bytes) {
  write_file_atomic(path, [bytes](const ByteSink& sink) { sink(bytes); });
}

void write_file_atomic(const std::string& path, std::string_view text) {
  const std::span chars(text.data(), text.size());
  const auto bytes = std::as_bytes(chars);
  write_file_atomic(path,
                    std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

}  // namespace affuse
