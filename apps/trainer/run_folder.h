// The folder of a run: who may write in it, and what stands where.
#pragma once
#include <optional>
#include <string>

namespace affuse {

/// Holds the folder's lock while it lives. Throws ConfigError (in use, not empty), Error (I/O).
class RunFolder {
 public:
  /// A new run. A folder that holds anything but the traces of a run that never began is refused,
  /// unless `overwrite`. What a run wrote there before stays until clear().
  static RunFolder create(const std::string& path, bool overwrite);
  /// A new run in the first of DIR/NAME-1, DIR/NAME-2, ... that no run has taken; of two processes
  /// that ask at once each gets its own.
  static RunFolder create_next(const std::string& dir, const std::string& name);
  /// A run that has begun.
  static RunFolder open(const std::string& path);
  /// The same to be read only: nothing is locked.
  static RunFolder look_at(const std::string& path);
  /// A run whose files another process writes: nothing is locked, write_status does nothing.
  static RunFolder view(const std::string& path) { return {path, -1}; }
  /// The folder that create_next would take now.
  static std::string next_path(const std::string& dir, const std::string& name);
  /// Throws what create would throw, as far as can be told without writing.
  static void check(const std::string& path, bool overwrite);

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();

  const std::string& path() const { return path_; }
  /// Path of a file in the folder, for example file("checkpoints/last.safetensors").
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool has(const std::string& name) const;
  /// Whether there is something to resume: the run came as far as to write its configuration.
  bool begun() const;

  /// Removes what a run wrote there before, but run.log and scan.csv, which go on; makes
  /// checkpoints/. To be called when everything else is ready.
  void clear() const;

  /// status.json: running | done | stopped | failed, the epochs done, and why; the temperature of
  /// the selected weights where one was fitted.
  void write_status(const std::string& state, int epoch, const std::string& reason,
                    std::optional<double> temperature = {}) const;
  /// failed, with the epochs that status.json tells. Where that cannot be written, nothing happens:
  /// the failure itself is what the user has to know.
  void write_failure(const std::string& reason) const noexcept;
  /// The state in status.json; empty where there is none.
  std::string state() const;

 private:
  RunFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_ = -1;
};

}  // namespace affuse
