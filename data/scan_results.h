// Remembered results of image scans: a csv file keyed by path, size and modification time.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "data/image.h"

namespace affuse {

/// What tells that a file is still the one that was scanned.
struct FileStamp {
  std::int64_t bytes = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// The stamp of a file; nothing when it cannot be found.
std::optional<FileStamp> file_stamp(const std::string& path);

class ScanResults {
 public:
  /// Reads FILE; a missing, damaged or otherwise limited one (then with a log line) is empty.
  ScanResults(std::string file, const ImageLimits& limits);

  /// The reason remembered for this file ("": a good image), or nothing. The pointer holds until
  /// the next set().
  const std::string* find(const std::string& path, const FileStamp& stamp) const;
  void set(const std::string& path, const FileStamp& stamp, std::string reason);

  /// Writes the file where something is new; a failure is a warning in the log.
  void save() const;

 private:
  struct Entry {
    FileStamp stamp;
    std::string reason;
  };

  void read_rows(std::string_view text);

  std::string file_, first_line_;
  std::unordered_map<std::string, Entry> entries_;
  bool changed_ = false;
};

}  // namespace affuse
