// Teams of threads with fixed shares. All OpenMP of our own kernels stands in parallel.cpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace affuse::cpu {

/// Threads that the next parallel region starts, oneDNN's included.
int max_threads();
/// @param n at least 1; smaller values count as 1. Holds for the calling thread's regions.
void set_threads(int n);

/// A half-open range of indices.
struct Range {
  int begin;
  int end;
};

/// One thread's view of its team.
struct Team {
  int rank;
  int size;

  /// Waits for the whole team; what was written before is visible after.
  void barrier() const;
  /// This thread's contiguous share of `count` items: shares differ by at most one item.
  Range share(int count) const {
    const auto cut = [&](int r) {
      return static_cast<int>(static_cast<std::int64_t>(count) * r / size);
    };
    return {cut(rank), cut(rank + 1)};
  }
};

/// Runs body(context, team) on every thread of a team; on the calling thread alone unless `wide`.
void run_team(bool wide, void (*body)(void*, Team), void* context);

/// Runs f(Team) on every thread. f must not throw. A team is started only where `wide`: for less
/// than about 64 KiB of traffic the start costs more than it gives.
template <class F>
void parallel(bool wide, F&& f) {
  run_team(
      wide,
      [](void* context, Team team) { (*static_cast<std::remove_reference_t<F>*>(context))(team); },
      &f);
}

/// Bytes of traffic from which a team pays.
constexpr std::size_t wide_bytes = 64u << 10;

/// f(i) for 0 <= i < count, in contiguous shares. `bytes`: traffic of the whole loop. Each item
/// must be independent of the others, so that the result does not depend on the thread count.
template <class F>
void parallel_for(int count, std::size_t bytes, F&& f) {
  parallel(count > 1 && bytes >= wide_bytes, [&](Team team) {
    const Range mine = team.share(count);
    for (int i = mine.begin; i < mine.end; ++i) f(i);
  });
}

}  // namespace affuse::cpu
