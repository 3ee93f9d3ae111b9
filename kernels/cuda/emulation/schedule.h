// In which order blocks and threads run.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/cuda/emulation/runtime.h"

namespace affuse::emulation {

/// A launch's order. Random: blocks are permuted, threads shuffled anew in every round, and whole
/// warps held back for some rounds, so that others run ahead of them to the next barrier.
class Schedule {
 public:
  Schedule() = default;
  Schedule(const Options& options, unsigned threads, std::uint64_t blocks);

  /// Number of the i-th block that runs.
  std::uint64_t block(std::uint64_t i) const;
  void begin_block();
  /// A round resumes every ready thread once. stalled: no thread ran in the round before.
  void begin_round(bool stalled);
  /// Number of the k-th thread that runs in this round.
  unsigned thread(unsigned k) const { return threads_[k]; }
  bool holds(unsigned warp) const { return held_ >> warp & 1u; }
  bool holds_any() const { return held_ != 0; }
  std::uint64_t random();

 private:
  Order order_ = Order::forward;
  std::uint64_t state_ = 1, blocks_ = 0, factor_ = 1, offset_ = 0;
  unsigned held_ = 0;  ///< bit w: warp w
  std::vector<unsigned> threads_;
};

}  // namespace affuse::emulation
