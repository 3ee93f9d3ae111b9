// Folders and plain files of a set that is being written.
#include "data/synth/output_folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/descriptor.h"
#include "engine/error.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMarker = "/.unfinished";  // says that DIR.tmp is ours to remove
constexpr std::array<std::string_view, 6> kEntries = {"train_set", "val_set", "images",
                                                      "train.csv", "val.csv", kMarker.substr(1)};

[[noreturn]] void fail(const std::string& path, std::string_view verb,
                       const std::error_code& code) {
  throw FileError(fmt::format("{}: cannot be {}: {}", path, verb, write_failure(code.value())));
}

[[noreturn]] void fail(const std::string& path, int number) {
  fail(path, "written", std::error_code(number, std::generic_category()));
}

// Absolute, without a trailing slash, so that DIR.tmp lies beside DIR.
std::string beside(const std::string& dir) {
  if (dir.empty()) throw ConfigError("output folder: the name is empty");
  fs::path p = fs::absolute(dir).lexically_normal();
  if (!p.has_filename()) p = p.parent_path();
  if (!p.has_relative_path()) throw ConfigError(dir + ": cannot be an output folder");
  return p.string();
}

void check_replaceable(const std::string& dir, bool overwrite) {
  std::error_code code;
  const fs::file_status status = fs::symlink_status(dir, code);
  if (status.type() == fs::file_type::not_found) return;
  if (code) fail(dir, "used", code);
  if (!fs::is_directory(status))
    throw ConfigError(dir + ": exists and is not a folder; name another");
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (!overwrite) throw ConfigError(dir + ": is not empty; name another folder, or overwrite it");
    if (std::ranges::find(kEntries, name) == kEntries.end())
      throw ConfigError(fmt::format(
          "{}: holds {}, which is no part of a synthetic set; it is not overwritten", dir, name));
  }
  if (code) fail(dir, "listed", code);
}

bool is_empty_folder(const std::string& path) {
  std::error_code code;
  return fs::is_directory(fs::symlink_status(path, code)) && fs::is_empty(path, code) && !code;
}

}  // namespace

OutputFolder::OutputFolder(const std::string& dir, bool overwrite)
    : final_(beside(dir)), temporary_(final_ + ".tmp"), marker_(temporary_ + std::string(kMarker)) {
  check_replaceable(final_, overwrite);
  std::error_code code;
  if (fs::exists(fs::symlink_status(temporary_, code))) {
    // An empty folder may be a set that was killed before its marker was written.
    if (!fs::exists(marker_, code) && !is_empty_folder(temporary_))
      throw ConfigError(temporary_ + ": is in the way; remove it, or name another output folder");
  }
  make("");
  lock();
  try {
    empty();
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

// Held until the set is published or given up; a killed process lets go of it.
void OutputFolder::lock() {
  lock_ = ::open(marker_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) {
    const int reason = errno;
    std::error_code ignored;
    fs::remove(temporary_, ignored);  // where it is empty
    fail(marker_, reason);
  }
  // Whoever held the lock before may have published or removed the folder since.
  struct stat open {
  }, named{};
  const bool held = ::flock(lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_, &open) == 0 &&
                    ::stat(marker_.c_str(), &named) == 0 && open.st_ino == named.st_ino;
  if (held) return;
  ::close(lock_);
  throw ConfigError(final_ + ": another affuse is drawing it; start again when it is done");
}

// Removes what a killed process left.
void OutputFolder::empty() const {
  std::error_code code;
  std::vector<fs::path> left;
  for (fs::directory_iterator it(temporary_, code), end; !code && it != end; it.increment(code))
    if (it->path().filename() != kMarker.substr(1)) left.push_back(it->path());
  for (const fs::path& path : left)
    if (!code) fs::remove_all(path, code);
  if (code) fail(temporary_, "emptied", code);
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(temporary_, ignored);
  ::close(lock_);
}

void OutputFolder::make(const std::string& subfolder) const {
  const std::string path = subfolder.empty() ? temporary_ : temporary_ + "/" + subfolder;
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail(path, "made", code);
}

void OutputFolder::publish() {
  const std::string old = final_ + ".old";
  std::error_code code, ignored;
  fs::rename(temporary_, final_, code);  // succeeds where DIR is absent or empty
  if (code == std::errc::directory_not_empty || code == std::errc::file_exists) {
    fs::rename(final_, old, code);
    if (code) fail(final_, "moved to " + old, code);
    fs::rename(temporary_, final_, code);
    if (code)
      fs::rename(old, final_, ignored);
    else
      fs::remove_all(old, ignored);
  }
  if (code) fail(final_, "put in place", code);
  published_ = true;
  fs::remove(final_ + std::string(kMarker), ignored);
}

void write_plain(const std::string& path, std::span<const std::uint8_t> bytes) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.ok()) fail(path, errno);
  if (const int code = file.write(bytes)) fail(path, code);
  if (const int code = file.close()) fail(path, code);
}

}  // namespace affuse
