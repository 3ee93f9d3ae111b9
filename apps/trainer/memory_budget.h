// How much memory decoded images may take.
#pragma once
#include <cstdint>

namespace affuse {

/// A quarter of the machine's memory for each half of a data set, in bytes.
std::uint64_t image_cache_budget();

}  // namespace affuse
