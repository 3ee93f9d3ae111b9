#include "apps/signals.h"

#include <atomic>
#include <csignal>

namespace affuse {
namespace {

using Handler = void (*)(int);

constexpr int kCaught[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
std::atomic<int> received = 0;  // a handler may run on any thread
static_assert(std::atomic<int>::is_always_lock_free, "handlers may use no locks");

// What is ignored stays so: nohup ignores SIGHUP, a shell the SIGINT of its background jobs.
void handle(int number, Handler handler) {
  if (std::signal(number, handler) == SIG_IGN) std::signal(number, SIG_IGN);
}

extern "C" void on_signal(int number) {
  received = number;
  for (const int caught : kCaught) handle(caught, SIG_DFL);
}

}  // namespace

void catch_signals() {
  for (const int number : kCaught) handle(number, on_signal);
}

int caught_signal() { return received; }

}  // namespace affuse
