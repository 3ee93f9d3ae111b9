// Places every buffer of a program in one slab by its lifetime.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/program.h"

namespace affuse {

/// Where a buffer lies and when it lives (indices of steps, both inclusive).
struct Placement {
  std::size_t offset = 0;
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
  bool in_arena = false;
};

struct ArenaPlan {
  std::vector<Placement> placements;  ///< one for each buffer of the program
  std::size_t bytes = 0;              ///< size of the slab
  std::size_t peak = 0;               ///< most bytes alive at one step: no plan can be smaller
  int peak_step = 0;
};

/// Greedy by size, first gap that fits. Two buffers whose lifetimes overlap never share a byte.
/// The alignment is what GPU libraries ask of their workspaces.
ArenaPlan place(const Program& program, std::size_t alignment = 256);

}  // namespace affuse
