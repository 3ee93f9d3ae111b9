#include "apps/trainer/run_log.h"

#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>

#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

// The rows that a resumed run keeps; a last line without a line break was cut short by a crash.
std::string kept_rows(const std::string& text, const std::string& header, std::int64_t last) {
  std::string out = header + "\n";
  std::size_t begin = text.find('\n');
  while (begin != std::string::npos && ++begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    std::int64_t index = 0;
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + end, index);
    if (error == std::errc{} && index <= last) out.append(text, begin, end - begin + 1);
    begin = end;
  }
  return out;
}

// The old rows are cut back before the file is opened for new ones.
std::string cut_back(std::string path, const std::string& header, std::int64_t last) {
  const std::string old = std::filesystem::exists(path) ? read_text(path) : std::string();
  write_file_atomic(path, std::string_view(kept_rows(old, header, last)));
  return path;
}

}  // namespace

CsvLog::CsvLog(std::string path, const std::string& header, std::int64_t last)
    : path_(cut_back(std::move(path), header, last)), file_(path_, O_WRONLY | O_APPEND) {
  if (!file_.ok()) fail("opened", errno);
}

void CsvLog::add(const std::string& row) {
  if (const int code = file_.write(row + "\n")) fail("written", code);
}

void CsvLog::sync() {
  if (const int code = file_.sync()) fail("synced", code);
}

void CsvLog::fail(const char* verb, int code) const {
  throw FileError(fmt::format("{}: cannot be {}: {}", path_, verb, write_failure(code)));
}

}  // namespace affuse
