// A program and its memory as tables for people.
#pragma once
#include <string>

#include "engine/arena.h"
#include "engine/program.h"

namespace affuse {

/// A line a step: name, implementation, shapes in and out, GFLOP, MB moved; then the totals.
std::string program_text(const Program& program);

/// Where the buffers lie: offset, size, first and last step, largest first (at most `rows`); the
/// arena's size, its peak and the step that needs it.
std::string memory_text(const Program& program, const ArenaPlan& plan, std::size_t rows);

}  // namespace affuse
