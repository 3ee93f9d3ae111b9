#include "apps/trainer/folder_lock.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/descriptor.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

std::string lock_file(const std::string& folder) { return folder + "/" + kFolderLock; }

// Whether the open file still stands in the folder: whoever held it before may have removed it.
bool is_same_file(int fd, const std::string& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

// For people, and perhaps not yet there when they look.
void sign(int fd) {
  char host[HOST_NAME_MAX + 1] = {};
  ::gethostname(host, HOST_NAME_MAX);
  const std::string name = fmt::format("process {} on {}", ::getpid(), host);
  if (::ftruncate(fd, 0) == 0 && ::pwrite(fd, name.data(), name.size(), 0) < 0)
    log_warning(fmt::format("the run folder's lock cannot be signed: {}", std::strerror(errno)));
}

std::string owner_of(const std::string& folder) {
  const int fd = ::open(lock_file(folder).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char name[HOST_NAME_MAX + 64];
  const ssize_t size = ::pread(fd, name, sizeof name, 0);
  ::close(fd);
  return size > 0 ? fmt::format(" ({})", std::string_view(name, static_cast<std::size_t>(size)))
                  : std::string();
}

}  // namespace

int try_lock(const std::string& folder) {
  const std::string file = lock_file(folder);
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw FileError(fmt::format("{}: cannot be written: {}", file, write_failure(errno)));
  const bool held = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (held && is_same_file(fd, file)) {
    sign(fd);
    return fd;
  }
  ::close(fd);
  return held ? try_lock(folder) : -1;
}

int lock_folder(const std::string& folder) {
  const int fd = try_lock(folder);
  if (fd >= 0) return fd;
  throw ConfigError(
      fmt::format("{}: another affuse{} is writing to this run folder; wait for it, stop it with "
                  "kill -INT, or choose another --out",
                  folder, owner_of(folder)));
}

}  // namespace affuse
