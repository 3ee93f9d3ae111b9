#include "apps/trainer/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "apps/trainer/folder_lock.h"
#include "engine/descriptor.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
constexpr const char* kBegun = "config.json";  // written when everything else is ready

// What a run writes, but its log and what it knows of the images; nothing else is ever removed. In
// the order of removal: a run whose removal was cut off is no finished one, and has its
// configuration until nothing else is left.
constexpr const char* kOwn[] = {
    "status.json", "checkpoints", "metrics.csv",     "steps.csv",
    "labels.json", "skipped.csv", "predictions.csv", "holdout_predictions.csv",
    kBegun};

// What a killed process was writing (engine/file.h).
bool is_unfinished(const fs::path& name) {
  return name.extension() == ".tmp" &&
         (name.stem().extension() == ".safetensors" || name.stem() == "scan.csv" ||
          std::find(std::begin(kOwn), std::end(kOwn), name.stem()) != std::end(kOwn));
}

void remove_unfinished(const std::string& path) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path, ignored))
    if (is_unfinished(entry.path().filename())) fs::remove(entry.path(), ignored);
}

// Holds nothing, or only what a run leaves that ended before it began (a data set is missing).
bool is_unused(const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    const bool left = name == kFolderLock || name == "run.log" || name == "scan.csv" ||
                      name == "status.json" || is_unfinished(name) ||
                      (name == "checkpoints" && fs::is_empty(it->path(), error));
    if (!left) return false;
  }
  if (error) throw FileError(fmt::format("{}: cannot be listed: {}", path, error.message()));
  return true;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && !fs::is_directory(path, error))
    throw FileError(path + ": exists and is not a folder; choose another --out");
  if (error)
    throw FileError(fmt::format("{}: cannot be made: {}", path, write_failure(error.value())));
}

void remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error)
    throw FileError(fmt::format("{}: cannot be removed: {}", path, write_failure(error.value())));
}

[[noreturn]] void refuse_used(const std::string& path) {
  throw ConfigError(path +
                    ": this folder is not empty; choose another --out, go on with "
                    "--resume, or give --overwrite");
}

}  // namespace

RunFolder RunFolder::create(const std::string& path, bool overwrite) {
  make_folder(path);
  RunFolder folder(path, lock_folder(path));
  if (!overwrite && !is_unused(path)) refuse_used(path);
  return folder;
}

RunFolder RunFolder::create_next(const std::string& dir, const std::string& name) {
  for (int n = 1;; ++n) {
    std::string path = fmt::format("{}/{}-{}", dir, name, n);
    std::error_code error;  // where the folder cannot be made, make_folder says why
    if (fs::exists(path, error) && (!fs::is_directory(path, error) || !is_unused(path))) continue;
    make_folder(path);
    const int lock = try_lock(path);
    if (lock < 0) continue;
    RunFolder folder(std::move(path), lock);
    if (is_unused(folder.path())) return folder;  // no run began and ended meanwhile
  }
}

void RunFolder::clear() const {
  for (const std::string name : kOwn) {
    remove(file(name));
    remove(file(name + ".tmp"));  // killed while it was written
  }
  make_folder(file("checkpoints"));
}

RunFolder RunFolder::open(const std::string& path) {
  RunFolder folder = look_at(path);
  folder.lock_ = lock_folder(path);
  remove_unfinished(path);
  remove_unfinished(folder.file("checkpoints"));
  return folder;
}

RunFolder RunFolder::look_at(const std::string& path) {
  if (std::error_code error; !fs::exists(fs::path(path) / kBegun, error))
    throw ConfigError(fmt::format("{}: no run to resume: it has no {}", path, kBegun));
  return view(path);
}

std::string RunFolder::next_path(const std::string& dir, const std::string& name) {
  for (int n = 1;; ++n) {
    std::string path = fmt::format("{}/{}-{}", dir, name, n);
    if (!fs::exists(path)) return path;
    if (!fs::exists(path + "/" + kFolderLock) && fs::is_directory(path) && is_unused(path))
      return path;
  }
}

void RunFolder::check(const std::string& path, bool overwrite) {
  const bool there = fs::is_directory(path);
  if (there && !overwrite && !is_unused(path)) refuse_used(path);
  // The nearest folder that is there must take a new one.
  fs::path at = fs::absolute(path).lexically_normal();
  if (!at.has_filename()) at = at.parent_path();
  while (!fs::exists(fs::symlink_status(at)) && at.has_relative_path()) at = at.parent_path();
  const bool folder = fs::is_directory(at);
  if (folder && ::access(at.c_str(), W_OK | X_OK) == 0) return;
  const std::string reason = std::strerror(folder ? errno : ENOTDIR);
  throw Error(there ? fmt::format("{}/{}: cannot be written: {}", path, kFolderLock, reason)
                    : fmt::format("{}: cannot be made: {}", path, reason));
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ < 0) return;
  ::unlink(file(kFolderLock).c_str());
  ::close(lock_);
}

std::string RunFolder::state() const {
  if (!has("status.json")) return {};
  const auto status = nlohmann::json::parse(read_text(file("status.json")), nullptr, false);
  return status.is_object() ? status.value("state", "") : std::string();
}

bool RunFolder::has(const std::string& name) const {
  std::error_code error;
  return fs::exists(file(name), error);
}

bool RunFolder::begun() const { return has(kBegun); }

void RunFolder::write_failure(const std::string& reason) const noexcept {
  try {
    int epoch = 0;
    if (has("status.json")) {
      const auto status = nlohmann::json::parse(read_text(file("status.json")), nullptr, false);
      if (status.is_object()) epoch = status.value("epoch", 0);
    }
    write_status("failed", epoch, reason);
  } catch (const std::exception&) {
    return;
  }
}

void RunFolder::write_status(const std::string& state, int epoch, const std::string& reason,
                             std::optional<double> temperature) const {
  if (lock_ < 0) return;
  // The watch over other ranks writes from its own thread.
  static std::mutex writing;
  const std::scoped_lock lock(writing);
  nlohmann::ordered_json status = {
      {"schema", 1}, {"state", state}, {"epoch", epoch}, {"reason", reason}};
  if (temperature) status["temperature"] = *temperature;
  // A reason may hold a file name of any bytes.
  const std::string text =
      status.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  write_file_atomic(file("status.json"), std::string_view(text));
}

}  // namespace affuse
