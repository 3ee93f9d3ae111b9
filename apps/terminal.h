// What the user sees while affuse works: log lines and progress, both on stderr.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace affuse {

struct TerminalMode {
  bool bar = false;     ///< stderr is a terminal that can redraw a line
  bool colour = false;  ///< and NO_COLOR is not set
  bool quiet = false;   ///< warnings and errors only
};

/// From isatty(2), TERM and NO_COLOR.
TerminalMode detect_terminal(bool quiet);

/// Sends the library's log to stderr and sets how Progress shows itself.
void start_terminal(const TerminalMode& mode);

/// Appends every log line with its time (UTC) to a file while it lives: run.log. At most one.
/// A line that cannot be written is lost with a warning; the run goes on.
class LogFile {
 public:
  /// Throws FileError where the file cannot be opened.
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
};

/// "0:07", "12:34", "3:04:05".
std::string clock_text(double seconds);

/// One line of progress; `total` 0: unknown. `width` > 0: a bar that fits so many columns.
/// "epoch 3/6  [=====>    ]  52 %  812 images/s  ETA 1:23  loss 1.234"
std::string progress_text(std::string_view what, std::int64_t done, std::int64_t total,
                          double seconds, std::string_view unit, std::string_view note, int width);

/// Progress of one job. On a terminal a bar, redrawn ten times a second at most; otherwise a plain
/// line every ten seconds and one at the end. One is shown at a time; log lines pass above it.
class Progress {
 public:
  Progress(std::string what, std::int64_t total, std::string unit = "images");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note`: a few words behind the figures. Callable from any thread.
  void update(std::int64_t done, std::string_view note = {});
  /// Leaves the last line standing.
  void finish(std::string_view note = {});

 private:
  using Clock = std::chrono::steady_clock;
  std::string text(int width) const;

  std::string what_, unit_, note_;
  std::int64_t total_, done_ = 0;
  Clock::time_point start_ = Clock::now(), shown_ = start_;
  bool finished_ = false;
  friend struct TerminalState;
};

}  // namespace affuse
