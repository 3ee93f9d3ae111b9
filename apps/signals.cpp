#include "apps/signals.h"

#include <csignal>

namespace affuse {
namespace {

constexpr int kCaught[] = {SIGINT, SIGTERM, SIGUSR1};
volatile std::sig_atomic_t received = 0;

extern "C" void on_signal(int number) {
  received = number;
  for (const int caught : kCaught) std::signal(caught, SIG_DFL);
}

}  // namespace

void catch_signals() {
  for (const int number : kCaught) std::signal(number, on_signal);
}

int caught_signal() { return received; }

}  // namespace affuse
