// A flow of control with a stack of its own, resumed and suspended by hand.
#pragma once
#include <cstddef>
#include <memory>

#include "kernels/cuda/emulation/context.h"

namespace affuse::emulation {

class Fibre {
 public:
  /// `number` spreads the stacks over the sets of the cache.
  Fibre(unsigned number, void (*entry)());
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
  ~Fibre();

  /// From the scheduler: runs until the fibre suspends itself.
  void resume();
  /// The first that entry calls.
  void started();
  /// From the fibre: back to the scheduler.
  void suspend();
  /// Abandons what the fibre was at, without destructors; the next resume calls entry.
  void restart();
  /// ThreadSanitizer's name of it.
  void* tsan() const { return tsan_; }

 private:
  struct Unmap {
    void operator()(std::byte* pages) const;
  };

  unsigned number_;
  void (*entry_)();
  std::unique_ptr<std::byte, Unmap> pages_;
  Context context_;
  void* tsan_ = nullptr;
  void* fake_stack_ = nullptr;
};

/// ThreadSanitizer's name of the host thread whose launch runs; to be called at each launch.
void adopt_host_thread();
void* host_thread();

}  // namespace affuse::emulation
