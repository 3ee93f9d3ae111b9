#include "apps/output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "engine/descriptor.h"
#include "engine/error.h"

namespace affuse {
namespace {

[[noreturn]] void fail(int code) {
  std::clearerr(stdout);
  throw FileError("stdout: cannot be written: " + write_failure(code));
}

}  // namespace

void secure_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one. Results on a closed stdout must fail, hence read-only.
    if (::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) fail(errno);
}

void flush_out() {
  if (std::fflush(stdout) != 0) fail(errno);
}

}  // namespace affuse
