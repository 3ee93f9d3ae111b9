#include "engine/log.h"

#include <mutex>
#include <utility>

namespace affuse {
namespace {
std::mutex mutex;
LogSink current = nullptr;
}  // namespace

LogSink set_log_sink(LogSink sink) {
  const std::scoped_lock lock(mutex);
  return std::exchange(current, sink);
}

void log(LogLevel level, std::string_view line) {
  const std::scoped_lock lock(mutex);
  if (current != nullptr) current(level, line);
}

}  // namespace affuse
