// Refuses shapes that the blocked kernels cannot run.
#include "kernels/cpu/maps.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse::cpu {

void check(const Maps& m, const char* place) {
  const bool block_ok = m.block == 8 || m.block == 16;
  if (!block_ok || m.n < 1 || m.c < 1 || m.hw < 1 || m.c % m.block != 0) {
    throw DeviceError(fmt::format(
        "{}: maps n {}, c {}, hw {}, block {}: extents must be positive, block 8 or 16, and c a "
        "multiple of it",
        place, m.n, m.c, m.hw, m.block));
  }
}

void check(const Maps& m, int valid, const char* place) {
  check(m, place);
  if (valid < 1 || valid > m.n) {
    throw DeviceError(fmt::format("{}: {} valid samples in a batch of {}", place, valid, m.n));
  }
}

}  // namespace affuse::cpu
