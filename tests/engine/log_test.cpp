// The log callback: silence by default, levels, and one call at a time from many threads.
#include "engine/log.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace affuse {
namespace {

// Not guarded on purpose: the log must serialise the calls (ThreadSanitizer watches).
std::vector<std::pair<LogLevel, std::string>> lines;

void record(LogLevel level, std::string_view line) { lines.emplace_back(level, line); }

TEST(Log, GoesToTheSinkWithItsLevel) {
  lines.clear();
  const LogSink before = set_log_sink(record);
  log_info("one");
  log_warning("two");
  EXPECT_EQ(set_log_sink(before), record);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], std::pair(LogLevel::info, std::string("one")));
  EXPECT_EQ(lines[1], std::pair(LogLevel::warning, std::string("two")));
}

TEST(Log, IsSilentWithoutASink) {
  lines.clear();
  const LogSink before = set_log_sink(nullptr);
  EXPECT_EQ(before, nullptr) << "silence is the default";
  log_warning("nobody hears this");
  EXPECT_TRUE(lines.empty());
}

TEST(Log, SerialisesThreads) {
  lines.clear();
  const LogSink before = set_log_sink(record);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 500; ++i) log_info(std::to_string(t) + " " + std::to_string(i));
    });
  for (auto& thread : threads) thread.join();
  set_log_sink(before);
  ASSERT_EQ(lines.size(), 2000u);
  int next[4] = {};
  for (const auto& [level, line] : lines) {
    const int t = line[0] - '0';
    EXPECT_EQ(std::stoi(line.substr(2)), next[t]++) << "lines of one thread keep their order";
  }
}

}  // namespace
}  // namespace affuse
