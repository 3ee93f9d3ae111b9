// POSIX calls with every status checked.
#include "engine/descriptor.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace affuse {

Descriptor::Descriptor(const std::string& path, int flags) {
  do {
    fd_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EINTR);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int Descriptor::write(std::span<const std::uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : ENOSPC;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

int Descriptor::write(std::string_view text) const {
  return write(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

int Descriptor::sync() const {
  int status;
  do {
    status = ::fsync(fd_);
  } while (status != 0 && errno == EINTR);
  // EINVAL: the file system cannot sync this, so there is nothing to wait for.
  return status == 0 || errno == EINVAL ? 0 : errno;
}

int Descriptor::close() {
  // Linux frees the descriptor even on EINTR, so that one is no error.
  return ::close(std::exchange(fd_, -1)) == 0 || errno == EINTR ? 0 : errno;
}

std::string write_failure(int code) {
  const std::string reason = std::generic_category().message(code);
  switch (code) {
    case ENOSPC:
      return reason + "; free some space";
    case EDQUOT:
      return reason + "; free some space or raise the quota";
    case EFBIG:
      return reason + "; raise the limit (ulimit -f)";
    case EIO:
      return reason + "; check the disk";
    case EACCES:
    case EPERM:
    case EROFS:
      return reason + "; choose a place that you may write to";
    default:
      return reason;
  }
}

}  // namespace affuse
