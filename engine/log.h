// The library speaks to its user through one callback; the application decides where it goes.
#pragma once
#include <string_view>

namespace affuse {

enum class LogLevel { info, warning };

/// Receives one line without a line break. Called from any thread, one call at a time.
using LogSink = void (*)(LogLevel, std::string_view);

/// Replaces the sink (nullptr: silence, the default). Returns the previous one.
LogSink set_log_sink(LogSink sink);

/// Sends a line to the sink.
void log(LogLevel level, std::string_view line);

inline void log_info(std::string_view line) { log(LogLevel::info, line); }
inline void log_warning(std::string_view line) { log(LogLevel::warning, line); }

}  // namespace affuse
