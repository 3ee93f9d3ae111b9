// steps.csv and metrics.csv: rows that are appended, and cut back on resume.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/descriptor.h"

namespace affuse {

/// A CSV file whose first column counts up. A row reaches the file as soon as it is added.
class CsvLog {
 public:
  /// Starts the file anew with `header`, or, where it is there, keeps its rows whose first column
  /// is at most `last`. Throws FileError naming the file.
  CsvLog(std::string path, const std::string& header, std::int64_t last);
  CsvLog(const CsvLog&) = delete;
  CsvLog& operator=(const CsvLog&) = delete;

  /// `row` without a line break. Throws FileError when it cannot be written.
  void add(const std::string& row);
  /// Makes the rows so far durable. Throws FileError.
  void sync();

 private:
  [[noreturn]] void fail(const char* verb, int code) const;

  std::string path_;
  Descriptor file_;
};

}  // namespace affuse
