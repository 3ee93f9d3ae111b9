// A folder that appears whole or not at all.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace affuse {

/// Files are written under path() = DIR.tmp, which is locked meanwhile; publish() renames it to
/// DIR. Without publish() the destructor removes it.
class OutputFolder {
 public:
  /// Throws ConfigError when DIR is not a folder, or not empty (with `overwrite`: holds anything
  /// but a synthetic set), or when DIR.tmp is not the remains of an earlier writing or another
  /// process is writing it.
  OutputFolder(const std::string& dir, bool overwrite);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::string& path() const { return temporary_; }
  /// Makes a subfolder and its parents.
  void make(const std::string& subfolder) const;
  /// Replaces DIR; an earlier set is removed after the new one stands in its place.
  void publish();

 private:
  void lock();
  void empty() const;

  std::string final_, temporary_, marker_;
  int lock_ = -1;
  bool published_ = false;
};

/// Writes a file without syncing it. Throws Error naming the path and the reason.
void write_plain(const std::string& path, std::span<const std::uint8_t> bytes);

}  // namespace affuse
