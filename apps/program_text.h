// A program and its memory as tables for people.
#pragma once
#include <optional>
#include <string>

#include "engine/arena.h"
#include "engine/program.h"

namespace affuse {

/// What a device can do at best.
struct Ceilings {
  double bytes_per_second = 0;
  double flops = 0;  ///< FLOP/s of the program's precision
};

/// The time below which no implementation of the step can be: its bytes or its FLOPs, s.
double floor_of(const Program& program, const Step& step, const Ceilings& ceilings);
/// Of all steps that run for each batch, s.
double floor_of(const Program& program, const Ceilings& ceilings);

/// A line a step: name, implementation, shapes in and out, GFLOP, MB moved, workspace and, with
/// ceilings, its floor; then the totals.
std::string program_text(const Program& program, const std::optional<Ceilings>& ceilings = {});

/// Where the buffers lie: offset, size, first and last step, largest first (at most `rows`); the
/// arena's size, its peak and the step that needs it.
std::string memory_text(const Program& program, const ArenaPlan& plan, std::size_t rows);

}  // namespace affuse
