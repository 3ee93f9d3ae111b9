// Stands before libc's calls on files and asks libfiu whether this one fails. Linked into a program
// or preloaded, and never built with a sanitizer, whose own interceptors come behind these.
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <fiu-control.h>
#include <fiu.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/faults/calls/fault.h"

namespace affuse::faults {
namespace {

struct State {
  std::mutex mutex;
  Plan plan;
  std::map<std::pair<std::string, std::string>, int> counts;
  int struck = 0;
};

State& state() {
  static State* one = new State;  // outlives every destructor that still closes a file
  return *one;
}
constexpr const char* kCalls[] = {"open",   "read", "write",  "fsync", "close",
                                  "rename", "link", "unlink", "mkdir", "statvfs"};
std::atomic<bool> armed{false};
thread_local std::string called;  // the name that libfiu's callback judges

template <class Call>
Call* next(const char* name) {
  return reinterpret_cast<Call*>(::dlsym(RTLD_NEXT, name));
}

/// The name below the root, or nothing.
std::string name_of(const std::string& path) {
  std::error_code none;
  std::string full = std::filesystem::absolute(path, none).lexically_normal();
  if (full.ends_with('/')) full.pop_back();
  const std::string& root = state().plan.root;
  if (full == root) return ".";
  return full.starts_with(root + "/") ? full.substr(root.size() + 1) : std::string();
}

std::string name_of(int fd) {
  char path[4096];
  const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  const std::string text(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  return text.empty() || text.ends_with(" (deleted)") ? std::string() : name_of(text);
}

void note(const std::string& line) {
  const std::string& log = state().plan.log;
  if (log.empty()) return;
  const long fd = ::syscall(SYS_openat, AT_FDCWD, log.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0666);
  ::syscall(SYS_write, fd, line.data(), line.size());
  ::syscall(SYS_close, fd);
}

/// libfiu's question whether the point of failure `call` fails now; `error` is what it returns.
int judge(const char* call, int* error, void**, unsigned*) {
  State& s = state();
  const std::scoped_lock lock(s.mutex);
  const int n = ++s.counts[{call, called}];
  note(std::string(call) + " " + called + "\n");
  for (const Fault& fault : s.plan.faults) {
    if (fault.call != call || fault.name != called || fault.nth != n) continue;
    *error = fault.error != 0 ? fault.error : -1;
    ++s.struck;
    note("FAULT " + std::string(call) + " " + called + "\n");
    return 1;
  }
  return 0;
}

/// 0, the errno to fail with, or -1: a short write.
int fault_at(const char* call, const std::string& name) {
  if (name.empty() || !called.empty()) return 0;  // elsewhere; a call that judging makes itself
  called = name;
  const int error = fiu_fail(call);
  called.clear();
  return error;
}

/// -1 with errno where the call on the file called `name` fails, otherwise what `real` returns.
template <class Name, class Real>
int failing(const char* call, const Name& name, const Real& real) {
  const int error = armed ? fault_at(call, name_of(name)) : 0;
  if (error == 0) return real();
  errno = error;
  return -1;
}

int open_file(const char* path, int flags, unsigned mode) {
  static auto* const real = next<int(const char*, int, ...)>("open");
  const bool reads = (flags & O_ACCMODE) == O_RDONLY;
  return failing(reads ? "read" : "open", path, [&] { return real(path, flags, mode); });
}

}  // namespace

void arm(const Plan& plan) {
  static std::once_flag once;  // libfiu leaks a point that is enabled twice
  std::call_once(once, [] {
    fiu_init(0);
    for (const char* call : kCalls) fiu_enable_external(call, 1, nullptr, 0, judge);
  });
  State& s = state();
  const std::scoped_lock lock(s.mutex);
  s.plan = plan;
  s.counts.clear();
  s.struck = 0;
  armed = true;
}

int disarm() {
  armed = false;
  return state().struck;
}

}  // namespace affuse::faults

namespace faults = affuse::faults;

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return faults::open_file(path, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t n) {
  static auto* const real = faults::next<ssize_t(int, const void*, size_t)>("write");
  const int error = faults::armed ? faults::fault_at("write", faults::name_of(fd)) : 0;
  if (error == 0) return real(fd, bytes, n);
  if (error < 0) return real(fd, bytes, (n + 1) / 2);
  errno = error;
  return -1;
}

int fsync(int fd) {
  static auto* const real = faults::next<int(int)>("fsync");
  return faults::failing("fsync", fd, [&] { return real(fd); });
}

/// Of files that were open for writing. Closes in any case, as Linux does.
int close(int fd) {
  static auto* const real = faults::next<int(int)>("close");
  if (!faults::armed || (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) return real(fd);
  const int error = faults::fault_at("close", faults::name_of(fd));
  const int status = real(fd);
  if (error == 0) return status;
  errno = error;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = faults::next<int(const char*, const char*)>("rename");
  return faults::failing("rename", from, [&] { return real(from, to); });
}

int link(const char* from, const char* to) noexcept {
  static auto* const real = faults::next<int(const char*, const char*)>("link");
  return faults::failing("link", from, [&] { return real(from, to); });
}

int unlink(const char* path) noexcept {
  static auto* const real = faults::next<int(const char*)>("unlink");
  return faults::failing("unlink", path, [&] { return real(path); });
}

/// A fault is a full disk, not an error.
int statvfs(const char* path, struct statvfs* disk) noexcept {
  static auto* const real = faults::next<int(const char*, struct statvfs*)>("statvfs");
  const int status = real(path, disk);
  if (faults::armed && faults::fault_at("statvfs", faults::name_of(path)) != 0) disk->f_bavail = 0;
  return status;
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = faults::next<int(const char*, mode_t)>("mkdir");
  return faults::failing("mkdir", path, [&] { return real(path, mode); });
}
}
