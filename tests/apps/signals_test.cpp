// Signals: the first is remembered, the second of any kind ends the program.
#include "apps/signals.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace affuse {
namespace {

[[noreturn]] void receive(int first, int second) {
  catch_signals();
  std::raise(first);
  if (caught_signal() != first) std::_Exit(3);
  if (second != 0) std::raise(second);
  std::_Exit(0);
}

TEST(SignalsDeathTest, TheFirstIsRememberedAndTheSecondLeavesAtOnce) {
  const int caught[] = {SIGINT, SIGTERM, SIGUSR1};
  for (const int first : caught) {
    EXPECT_EXIT(receive(first, 0), testing::ExitedWithCode(0), "");
    for (const int second : caught)
      EXPECT_EXIT(receive(first, second), testing::KilledBySignal(second), "");
  }
}

}  // namespace
}  // namespace affuse
