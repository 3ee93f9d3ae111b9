#include "apps/trainer/run_log.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

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

}  // namespace

CsvLog::CsvLog(std::string path, const std::string& header, std::int64_t last)
    : path_(std::move(path)) {
  const std::string old = std::filesystem::exists(path_) ? read_text(path_) : std::string();
  write_file_atomic(path_, std::string_view(kept_rows(old, header, last)));
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) throw Error(fmt::format("{}: cannot be opened: {}", path_, std::strerror(errno)));
}

CsvLog::~CsvLog() {
  if (fd_ >= 0) ::close(fd_);
}

void CsvLog::add(const std::string& row) {
  const std::string line = row + "\n";
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::write(fd_, line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0)
      throw Error(fmt::format("{}: cannot be written: {}", path_, std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
}

}  // namespace affuse
