// Signals: the first is remembered, the second of any kind ends the program.
#include "apps/signals.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace affuse {
namespace {

[[noreturn]] void receive(int first, int second) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) std::signal(number, SIG_DFL);
  catch_signals();
  std::raise(first);
  if (caught_signal() != first) std::_Exit(3);
  if (second != 0) std::raise(second);
  std::_Exit(0);
}

TEST(SignalsDeathTest, TheFirstIsRememberedAndTheSecondLeavesAtOnce) {
  const int caught[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
  for (const int first : caught) {
    EXPECT_EXIT(receive(first, 0), testing::ExitedWithCode(0), "");
    for (const int second : caught)
      EXPECT_EXIT(receive(first, second), testing::KilledBySignal(second), "");
  }
}

[[noreturn]] void ignore_and_receive(int ignored, int other) {
  std::signal(ignored, SIG_IGN);
  catch_signals();
  std::raise(ignored);
  if (caught_signal() != 0) std::_Exit(3);
  std::raise(other);
  std::raise(ignored);
  std::_Exit(caught_signal() == other ? 0 : 4);
}

TEST(SignalsDeathTest, WhatIsIgnoredStaysIgnored) {
  EXPECT_EXIT(ignore_and_receive(SIGHUP, SIGTERM), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(ignore_and_receive(SIGINT, SIGUSR1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace affuse
