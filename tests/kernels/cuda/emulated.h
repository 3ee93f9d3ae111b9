// Options of the emulation in tests.
#pragma once
#include "kernels/cuda/emulation/emulation.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {

/// Puts the emulation's options back at the end of the scope.
class KeepOptions {
 public:
  KeepOptions() = default;
  KeepOptions(const KeepOptions&) = delete;
  KeepOptions& operator=(const KeepOptions&) = delete;
  ~KeepOptions() { emulation::options() = before_; }

 private:
  emulation::Options before_ = emulation::options();
};

}  // namespace affuse
