// Everything that a folder holds, to show that a command changed nothing.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "tests/apps/run_affuse.h"

namespace affuse::test {

/// Relative path to content ("<type>" of what is no regular file); a Program's own .out and .err
/// files are left out, so is whatever lies below `except`.
inline std::map<std::string, std::string> state_of(const Folder& folder,
                                                   const std::string& except = ".err") {
  namespace fs = std::filesystem;
  std::map<std::string, std::string> state;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    const std::string name = entry.path().lexically_relative(folder.path());
    if (name.starts_with(".out") || name.starts_with(".err") || name.starts_with(except)) continue;
    const bool file = fs::is_regular_file(entry.symlink_status());
    const bool small = file && entry.file_size() < (1U << 20);
    state[name] = small  ? read_text(entry.path())
                  : file ? std::to_string(entry.file_size()) + " bytes"
                         : "<no file>";
  }
  return state;
}

}  // namespace affuse::test
