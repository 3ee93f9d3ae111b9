// Results on stdout, and what becomes of output that nobody takes.
#pragma once
#include <string_view>

namespace affuse {

/// First thing in main(): a closed stdin, stdout or stderr gets a stand-in, so that no file that is
/// opened later takes its number and receives its text; a pipe without a reader and a file above
/// the size limit (ulimit -f) become errors of the call that writes instead of signals.
void secure_streams();

/// Writes to stdout. Throws FileError.
void write_out(std::string_view text);

/// Everything written so far reaches its place. Throws FileError.
void flush_out();

}  // namespace affuse
