// A loop over indices on several threads, for work that waits for files.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace affuse {

/// Calls body(i) once for each i in [0, n), `grain` neighbours at a time, on up to `threads`
/// threads. After an exception no new piece starts, and the exception of the lowest index is
/// rethrown: pieces are handed out in order, so it does not depend on the threads.
template <class Body>
void parallel_for(std::size_t n, int threads, std::size_t grain, const Body& body) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::size_t error_at = n;

  const auto work = [&] {
    while (!failed.load(std::memory_order_relaxed)) {
      const std::size_t begin = next.fetch_add(grain);
      if (begin >= n) return;
      std::size_t i = begin;
      try {
        for (const std::size_t end = std::min(n, begin + grain); i < end; ++i) body(i);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (i < error_at) {
          error_at = i;
          error = std::current_exception();
        }
        failed = true;
      }
    }
  };
  {
    const std::size_t pieces = (n + grain - 1) / grain;
    const auto wanted = static_cast<std::size_t>(std::max(threads, 1));
    std::vector<std::jthread> helpers;
    for (std::size_t t = 1; t < std::min(wanted, pieces); ++t) helpers.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace affuse
