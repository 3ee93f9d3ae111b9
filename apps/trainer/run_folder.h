// The folder of a run: who may write in it, and what stands where.
#pragma once
#include <string>

namespace affuse {

/// Holds the folder's lock while it lives. Throws ConfigError (in use, not empty), Error (I/O).
class RunFolder {
 public:
  /// A new run. A folder that holds anything but the traces of a run that never began is refused,
  /// unless `overwrite`: then what a run wrote there before is removed.
  static RunFolder create(const std::string& path, bool overwrite);
  /// A run that has begun.
  static RunFolder open(const std::string& path);
  /// A run whose files another process writes: nothing is locked, write_status does nothing.
  static RunFolder view(const std::string& path) { return {path, -1}; }
  /// The first of DIR/NAME-1, DIR/NAME-2, ... that no run has taken.
  static std::string next_path(const std::string& dir, const std::string& name);

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();

  const std::string& path() const { return path_; }
  /// Path of a file in the folder, for example file("checkpoints/last.safetensors").
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool has(const std::string& name) const;

  /// status.json: running | done | stopped | failed, the epochs done, and why.
  void write_status(const std::string& state, int epoch, const std::string& reason) const;
  /// failed, with the epochs that status.json tells.
  void write_failure(const std::string& reason) const;
  /// The state in status.json; empty where there is none.
  std::string state() const;

 private:
  RunFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_ = -1;
};

}  // namespace affuse
