#include "apps/trainer/run_folder.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
constexpr const char* kLock = "run.lock";
constexpr const char* kBegun = "config.json";  // written when everything else is ready

// What a run writes; nothing else is ever removed.
constexpr const char* kOwn[] = {"config.json", "run.log",     "status.json",     "metrics.csv",
                                "steps.csv",   "checkpoints", "predictions.csv", "skipped.csv",
                                "labels.json", "scan.csv"};

// A file of that name, locked, that still stands in the folder: whoever held it may remove it.
bool is_same_file(int fd, const std::string& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

int lock_folder(const std::string& path) {
  const std::string file = path + "/" + kLock;
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw Error(fmt::format("{}: cannot be written: {}", file, std::strerror(errno)));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    throw ConfigError(path +
                      ": another affuse is writing to this run folder; wait for it or "
                      "choose another --out");
  }
  if (is_same_file(fd, file)) return fd;
  ::close(fd);
  return lock_folder(path);
}

// Holds nothing, or only what a run leaves that ended before it began (a data set is missing).
bool is_unused(const std::string& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    const bool left = name == kLock || name == "run.log" || name == "scan.csv" ||
                      (name == "checkpoints" && fs::is_empty(entry.path()));
    if (!left) return false;
  }
  return true;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error(fmt::format("{}: cannot be made: {}", path, error.message()));
}

}  // namespace

RunFolder RunFolder::create(const std::string& path, bool overwrite) {
  make_folder(path);
  RunFolder folder(path, lock_folder(path));
  if (!is_unused(path)) {
    if (!overwrite)
      throw ConfigError(path +
                        ": this folder is not empty; choose another --out, go on with "
                        "--resume, or give --overwrite");
    for (const char* name : kOwn) fs::remove_all(fs::path(path) / name);
  }
  make_folder(folder.file("checkpoints"));
  return folder;
}

RunFolder RunFolder::open(const std::string& path) {
  if (!fs::exists(fs::path(path) / kBegun))
    throw ConfigError(fmt::format("{}: no run to resume: it has no {}", path, kBegun));
  return {path, lock_folder(path)};
}

std::string RunFolder::next_path(const std::string& dir, const std::string& name) {
  for (int n = 1;; ++n) {
    std::string path = fmt::format("{}/{}-{}", dir, name, n);
    if (!fs::exists(path)) return path;
    if (!fs::exists(path + "/" + kLock) && fs::is_directory(path) && is_unused(path)) return path;
  }
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ < 0) return;
  ::unlink(file(kLock).c_str());
  ::close(lock_);
}

std::string RunFolder::state() const {
  if (!has("status.json")) return {};
  const auto status = nlohmann::json::parse(read_text(file("status.json")), nullptr, false);
  return status.is_object() ? status.value("state", "") : std::string();
}

bool RunFolder::has(const std::string& name) const { return fs::exists(file(name)); }

void RunFolder::write_failure(const std::string& reason) const {
  int epoch = 0;
  if (has("status.json")) {
    const auto status = nlohmann::json::parse(read_text(file("status.json")), nullptr, false);
    if (status.is_object()) epoch = status.value("epoch", 0);
  }
  write_status("failed", epoch, reason);
}

void RunFolder::write_status(const std::string& state, int epoch, const std::string& reason) const {
  if (lock_ < 0) return;
  // The watch over other ranks writes from its own thread.
  static std::mutex writing;
  const std::scoped_lock lock(writing);
  const nlohmann::ordered_json status = {
      {"schema", 1}, {"state", state}, {"epoch", epoch}, {"reason", reason}};
  // A reason may hold a file name of any bytes.
  const std::string text =
      status.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  write_file_atomic(file("status.json"), std::string_view(text));
}

}  // namespace affuse
