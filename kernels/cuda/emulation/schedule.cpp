// The orders.
#include "kernels/cuda/emulation/schedule.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace affuse::emulation {

Schedule::Schedule(const Options& options, unsigned threads, std::uint64_t blocks)
    : order_(options.order),
      state_(options.seed * 0x9E3779B97F4A7C15u | 1u),
      blocks_(blocks),
      threads_(threads) {
  std::iota(threads_.begin(), threads_.end(), 0u);
  if (order_ == Order::reverse) std::reverse(threads_.begin(), threads_.end());
  if (order_ == Order::random && blocks > 1) {
    factor_ = random() % blocks | 1u;
    while (std::gcd(factor_, blocks) != 1) ++factor_;
    offset_ = random() % blocks;
  }
}

std::uint64_t Schedule::random() {  // xorshift64
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return state_ >> 16;
}

std::uint64_t Schedule::block(std::uint64_t i) const {
  if (order_ == Order::reverse) return blocks_ - 1 - i;
  __extension__ using Wide = unsigned __int128;  // factor * i passes 2^64 for the largest grids
  return static_cast<std::uint64_t>((Wide{i} * factor_ + offset_) % blocks_);
}

void Schedule::begin_block() {
  held_ = order_ == Order::random ? static_cast<unsigned>(random()) : 0;
}

void Schedule::begin_round(bool stalled) {
  if (order_ != Order::random) return;
  if (stalled && held_ != 0)
    held_ = 0;
  else if (stalled || random() % 16 == 0)
    held_ = static_cast<unsigned>(random());
  for (std::size_t k = threads_.size(); k > 1; --k)
    std::swap(threads_[k - 1], threads_[random() % k]);
}

}  // namespace affuse::emulation
