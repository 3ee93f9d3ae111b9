// Progress and log lines on stderr.
#include "apps/terminal.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "engine/log.h"

namespace affuse {
namespace {

/// What `work` writes to stderr in a mode.
template <class Work>
std::string written(const TerminalMode& mode, const Work& work) {
  testing::internal::CaptureStderr();
  start_terminal(mode);
  work();
  set_log_sink(nullptr);
  start_terminal({});
  set_log_sink(nullptr);
  return testing::internal::GetCapturedStderr();
}

TEST(Terminal, ClockText) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(6.2), "0:07");
  EXPECT_EQ(clock_text(754), "12:34");
  EXPECT_EQ(clock_text(3 * 3600 + 4 * 60 + 5), "3:04:05");
  EXPECT_EQ(clock_text(-1), "0:00");
  EXPECT_EQ(clock_text(1e300), "1000000:00:00");
}

TEST(Terminal, ProgressText) {
  EXPECT_EQ(progress_text("epoch 3/6", 500, 1000, 2, "images", "loss 1.234", 0),
            "epoch 3/6   50 %  250 images/s  ETA 0:02  loss 1.234");
  EXPECT_EQ(progress_text("epoch 3/6", 500, 1000, 2, "images", "loss 1.234", 70),
            "epoch 3/6  [=======>      ]   50 %  250 images/s  ETA 0:02  loss 1.234");
  EXPECT_EQ(progress_text("scan", 1000, 1000, 2, "images", "", 0),
            "scan  100 %  500 images/s  in 0:02");
  EXPECT_EQ(progress_text("scan", 7, 0, 2, "files", "", 80), "scan  7 files  3.5 files/s");
  EXPECT_EQ(progress_text("scan", 0, 10, 0, "files", "", 0), "scan    0 %");
  EXPECT_EQ(progress_text("scan", 20, 10, 1, "files", "", 0), "scan  100 %  20 files/s  in 0:01");
  const auto narrow = [](int width) {
    return progress_text("epoch 3/6", 500, 1000, 2, "images", "loss 1.234", width);
  };
  EXPECT_EQ(narrow(52), "epoch 3/6   50 %  250 images/s  ETA 0:02  loss 1.234");
  EXPECT_EQ(narrow(42), "epoch 3/6   50 %  250 images/s  ETA 0:02");
  EXPECT_EQ(narrow(39), "epoch 3/6  [====>    ]   50 %  ETA 0:02");
  EXPECT_EQ(narrow(20), "epoch 3/6   50 %");
  EXPECT_EQ(narrow(5), "epoch");
  for (int width = 1; width < 120; ++width) {
    const auto text =
        progress_text("a long name of a job", 999, 1000, 3, "images", "loss 1.0", width);
    EXPECT_LE(text.size(), static_cast<std::size_t>(width));
  }
}

TEST(Terminal, DetectsNothingInAPipe) {
  testing::internal::CaptureStderr();  // a file, not a terminal
  const TerminalMode mode = detect_terminal(true);
  testing::internal::GetCapturedStderr();
  EXPECT_FALSE(mode.bar);
  EXPECT_FALSE(mode.colour);
  EXPECT_TRUE(mode.quiet);
}

TEST(Terminal, PlainLinesWithoutEscapes) {
  const std::string text = written({}, [] {
    Progress progress("job", 10, "items");
    for (int i = 0; i <= 10; ++i) progress.update(i);
    log_info("hello");
    log_warning("careful");
    progress.finish("done");
    progress.finish("twice");
  });
  EXPECT_TRUE(text.starts_with("hello\nwarning: careful\njob  100 %")) << text;
  EXPECT_TRUE(text.ends_with("done\n")) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Terminal, QuietKeepsWarningsOnly) {
  const std::string text = written({.bar = true, .colour = false, .quiet = true}, [] {
    Progress progress("job", 10);
    progress.update(5);
    log_info("hello");
    log_warning("careful");
    progress.finish();
  });
  EXPECT_EQ(text, "warning: careful\n");
}

TEST(Terminal, LogLinesPassAboveTheBar) {
  const std::string text = written({.bar = true, .colour = true, .quiet = false}, [] {
    Progress progress("job", 10);
    progress.update(5);
    log_warning("careful");
  });
  const std::string erase = "\r\x1b[K";
  ASSERT_TRUE(text.starts_with(erase + "job")) << text;
  const auto line = text.find(erase + "\x1b[33mwarning:\x1b[0m careful\n");
  ASSERT_NE(line, std::string::npos) << text;
  EXPECT_NE(text.find(erase + "job", line), std::string::npos) << "the bar comes back";
  EXPECT_TRUE(text.ends_with(erase)) << "a job that is left unfinished leaves no bar";
}

TEST(Terminal, ThreadsMayLogAndUpdate) {
  const std::string text = written({.bar = true, .colour = false, .quiet = false}, [] {
    Progress progress("job", 1000);
    std::thread other([] {
      for (int i = 0; i < 100; ++i) log_info("line");
    });
    for (int i = 0; i <= 1000; ++i) progress.update(i, "note");
    other.join();
    progress.finish();
  });
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = text.find("line\n", at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, 100u);
}

}  // namespace
}  // namespace affuse
