// One mutex guards stderr, so that a bar and log lines from other threads do not mix.
#include "apps/terminal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/log.h"

namespace affuse {

struct TerminalState {
  std::mutex mutex;
  TerminalMode mode;
  Progress* active = nullptr;  // whose bar stands in the last line
  std::ofstream copy;          // of the log

  static TerminalState& get() {
    static TerminalState state;
    return state;
  }
  static int columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
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

void log_line(LogLevel level, std::string_view line) {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  const bool warning = level == LogLevel::warning;
  if (state.copy.is_open())
    state.copy << fmt::format("{:%FT%TZ} {}{}\n", fmt::gmtime(std::time(nullptr)),
                              warning ? "warning: " : "", line)
               << std::flush;
  if (state.mode.quiet && !warning) return;
  std::string out(line);
  if (warning) out = (state.mode.colour ? "\x1b[33mwarning:\x1b[0m " : "warning: ") + out;
  state.erase();
  std::fputs((out + "\n").c_str(), stderr);
  state.draw();
}

/// "812", "8.1", "0.35": three digits or two.
std::string rate_text(double rate) {
  return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.2g}", rate);
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
  state.copy.open(path, std::ios::app);
  if (!state.copy) throw Error(path + ": cannot be opened for the log");
}

LogFile::~LogFile() {
  TerminalState& state = TerminalState::get();
  const std::scoped_lock lock(state.mutex);
  state.copy.close();
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
  std::string figures;
  if (total > 0) figures += fmt::format("  {:3.0f} %", std::floor(100 * share));
  if (total <= 0) figures += fmt::format("  {} {}", done, unit);
  if (rate > 0) figures += fmt::format("  {} {}/s", rate_text(rate), unit);
  if (total > done && rate > 0) {
    figures += "  ETA " + clock_text(static_cast<double>(total - done) / rate);
  }
  if (total > 0 && done >= total) figures += "  in " + clock_text(seconds);
  if (!note.empty()) figures += fmt::format("  {}", note);

  std::string bar;
  const int space = width - static_cast<int>(what.size() + figures.size()) - 4;
  if (total > 0 && space >= 8) {
    const int cells = std::min(space, 30);
    const int full = static_cast<int>(share * cells);
    bar = "  [" + std::string(static_cast<std::size_t>(full), '=');
    bar += full < cells ? ">" : "";
    bar.resize(3 + static_cast<std::size_t>(cells), ' ');
    bar += "]";
  }
  std::string line = std::string(what) + bar + figures;
  if (width > 0 && line.size() > static_cast<std::size_t>(width)) {
    line.resize(static_cast<std::size_t>(width));
  }
  return line;
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
