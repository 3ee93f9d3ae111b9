// Results on stdout.
#pragma once
#include <cstdio>
#include <string_view>

namespace affuse {

/// Writes to stdout; main() checks for errors when it flushes.
inline void write_out(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace affuse
