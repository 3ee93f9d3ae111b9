// How much memory there is, and how much of it decoded images may take.
#pragma once
#include <cstdint>

namespace affuse {

/// Bytes of the machine's memory; 0 where it does not tell.
std::uint64_t machine_memory();

/// A quarter of the machine's memory for each half of a data set, in bytes.
std::uint64_t image_cache_budget();

}  // namespace affuse
