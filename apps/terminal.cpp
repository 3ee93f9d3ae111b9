// One mutex guards stderr, so that a bar and log lines from other threads do not mix.
#include "apps/terminal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/descriptor.h"
#include "engine/error.h"
#include "engine/log.h"
#include "engine/text.h"

namespace affuse {

namespace {

/// run.log. A log that cannot be written ends no training: that is said once, and later lines are
/// tried again.
class LogCopy {
 public:
  explicit LogCopy(const std::string& path)
      : path_(path), file_(path, O_WRONLY | O_CREAT | O_APPEND) {
    if (!file_.ok())
      throw FileError(fmt::format("{}: cannot be opened: {}", path, write_failure(errno)));
  }
  /// A warning to show, or nothing.
  std::string add(const std::string& line) {
    const int code = file_.write(line);
    const bool news = code != 0 && !failing_;
    failing_ = code != 0;
    return news ? fmt::format("{}: lines are lost: {}", path_, write_failure(code)) : std::string();
  }

 private:
  std::string path_;
  Descriptor file_;
  bool failing_ = false;
};

}  // namespace

struct TerminalState {
  std::mutex mutex;
  TerminalMode mode;
  Progress* active = nullptr;   // whose bar stands in the last line
  std::optional<LogCopy> copy;  // of the log

  static TerminalState& get() {
    static TerminalState state;
    return state;
  }
  static int columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }
  void erase() const {
    if (active != nullptr) std::fputs("\r\x1b[K", stderr);
  }
  void draw() const {
    if (active == nullptr) return;
    std::fputs(("\r\x1b[K" + active->text(columns() - 1)).c_str(), stderr);
    std::fflush(stderr);
  }
};

namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(10);

/// On stderr, above the bar.
void show(const TerminalState& state, bool warning, std::string_view line) {
  const char* prefix = !warning ? "" : state.mode.colour ? "\x1b[33mwarning:\x1b[0m " : "warning: ";
  state.erase();
  std::fputs(fmt::format("{}{}\n", prefix, line).c_str(), stderr);
  state.draw();
}

void log_line(LogLevel level, std::string_view text) {
  const std::string line = one_line(std::string(text));
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  const bool warning = level == LogLevel::warning;
  std::string lost;
  if (state.copy)
    lost = state.copy->add(fmt::format("{:%FT%TZ} {}{}\n", fmt::gmtime(std::time(nullptr)),
                                       warning ? "warning: " : "", line));
  if (!lost.empty()) show(state, true, lost);
  if (!state.mode.quiet || warning) show(state, warning, line);
}

/// "812", "8.1", "0.35": three digits or two.
std::string rate_text(double rate) {
  return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.2g}", rate);
}

/// "  [=====>   ]" within `space` columns between its brackets; empty where there is no room.
std::string bar_text(double share, int space) {
  if (space < 8) return {};
  const int cells = std::min(space, 30);
  const int full = static_cast<int>(share * cells);
  std::string bar = "  [" + std::string(static_cast<std::size_t>(full), '=');
  bar += full < cells ? ">" : "";
  bar.resize(3 + static_cast<std::size_t>(cells), ' ');
  return bar + "]";
}

}  // namespace

TerminalMode detect_terminal(bool quiet) {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const char* term = std::getenv("TERM");
  TerminalMode mode;
  mode.bar = isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  mode.colour = mode.bar && !set("NO_COLOR");
  mode.quiet = quiet;
  return mode;
}

void start_terminal(const TerminalMode& mode) {
  TerminalState& state = TerminalState::get();
  {
    const std::scoped_lock lock(state.mutex);
    state.mode = mode;
  }
  set_log_sink(log_line);
}

LogFile::LogFile(const std::string& path) {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  state.copy.emplace(path);
}

LogFile::~LogFile() {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  state.copy.reset();
}

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::clamp(std::ceil(seconds), 0.0, 3.6e9));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string progress_text(std::string_view what, std::int64_t done, std::int64_t total,
                          double seconds, std::string_view unit, std::string_view note, int width) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0;
  std::string state, speed, time, remark;
  if (total > 0) state = fmt::format("  {:3.0f} %", std::floor(100 * share));
  if (total <= 0) state = fmt::format("  {} {}", done, unit);
  if (rate > 0) speed = fmt::format("  {} {}/s", rate_text(rate), unit);
  if (total > done && rate > 0)
    time = "  ETA " + clock_text(static_cast<double>(total - done) / rate);
  if (total > 0 && done >= total) time = "  in " + clock_text(seconds);
  if (!note.empty()) remark = fmt::format("  {}", note);

  // What a narrow terminal has no room for, the least important first; half a number would lie.
  const auto columns =
      static_cast<std::size_t>(width > 0 ? width : std::numeric_limits<int>::max());
  for (std::string* part : {&remark, &speed, &time, &state})
    if (what.size() + (state + speed + time + remark).size() > columns) part->clear();
  const std::string figures = state + speed + time + remark;
  std::string line(what.substr(0, columns));
  if (total > 0)
    line += bar_text(share, width - static_cast<int>(what.size() + figures.size()) - 4);
  return line + figures;
}

Progress::Progress(std::string what, std::int64_t total, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), total_(total) {}

Progress::~Progress() {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  if (state.active != this) return;
  state.erase();
  state.active = nullptr;
}

std::string Progress::text(int width) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return progress_text(what_, done_, total_, seconds, unit_, note_, width);
}

void Progress::update(std::int64_t done, std::string_view note) {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  done_ = done;
  note_ = note;
  const auto now = Clock::now();
  if (state.mode.quiet || finished_) return;
  if (state.mode.bar) {
    if (state.active == this && now - shown_ < kRedraw) return;
    state.active = this;
    state.draw();
  } else {
    if (now - shown_ < kPlainLine) return;
    std::fputs((text(0) + "\n").c_str(), stderr);
  }
  shown_ = now;
}

void Progress::finish(std::string_view note) {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  if (finished_) return;
  finished_ = true;
  if (!note.empty()) note_ = note;
  if (state.mode.quiet) return;
  if (state.active == this) state.erase();
  state.active = nullptr;
  std::fputs((text(state.mode.bar ? TerminalState::columns() - 1 : 0) + "\n").c_str(), stderr);
}

}  // namespace affuse
