#include "apps/signals.h"

#include <csignal>
#include <initializer_list>

namespace affuse {
namespace {

volatile std::sig_atomic_t received = 0;

extern "C" void on_signal(int number) {
  received = number;
  std::signal(number, SIG_DFL);
}

}  // namespace

void catch_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) std::signal(number, on_signal);
}

int caught_signal() { return received; }

}  // namespace affuse
