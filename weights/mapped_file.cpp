// mmap with every status checked.
#include "weights/mapped_file.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "engine/descriptor.h"
#include "engine/error.h"

namespace affuse {
namespace {

[[noreturn]] void fail(const std::string& path, const char* what, int code) {
  throw WeightsError(fmt::format("{}: {}: {}", path, what, std::generic_category().message(code)));
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);  // a FIFO would block
  if (!file.ok()) fail(path, "cannot be opened", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, "fstat", errno);
  if (S_ISDIR(info.st_mode)) throw WeightsError(path + ": is a folder, not a file");
  if (!S_ISREG(info.st_mode)) throw WeightsError(path + ": is not a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail(path, "mmap", errno);
  bytes_ = {static_cast<const std::uint8_t*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace affuse
