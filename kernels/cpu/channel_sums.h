// Two sums per channel over the samples and pixels of a batch, and the schedule "sums of a channel
// block, then its element-wise pass while it is still in cache".
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include "kernels/cpu/maps.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace affuse::cpu {

/// Sums of two quantities for the channels of one block.
struct ChannelSums {
  std::array<double, 16> first{};
  std::array<double, 16> second{};

  void add(const ChannelSums& other) {
    for (std::size_t i = 0; i < first.size(); ++i) {
      first[i] += other.first[i];
      second[i] += other.second[i];
    }
  }
};

/// Adds a pack of float partial sums to the doubles of its channels.
template <int W>
inline void flush(Floats<W>& partial, double* total) {
  float lane[W];
  store<W>(partial, lane);
  for (int i = 0; i < W; ++i) total[i] += double{lane[i]};
  partial = Floats<W>{};
}

/// The batch cut along its samples into at most 32 slabs, by its shape alone: sums are taken slab
/// by slab in this order whatever the number of threads.
struct Slabs {
  static constexpr int most = 32;
  int samples;  ///< of one slab; the last may be shorter
  int count;

  explicit Slabs(const Maps& m) {
    constexpr int pixels = 1024;  // fewer are not worth a slab
    samples = std::max((m.n + most - 1) / most, (pixels + m.hw - 1) / m.hw);
    count = (m.n + samples - 1) / samples;
  }
  /// Samples of slab s that lie below `limit`.
  Range range(int s, int limit) const {
    return {std::min(s * samples, limit), std::min(std::min((s + 1), count) * samples, limit)};
  }
};

/// Sums element(offset, k, a, b) over the pixels of channel block cb of the samples in `rows`.
/// element adds the pack at `offset` to a and b; k % (Block / lanes) says which channels it holds.
/// Float partial sums over at most 256 terms, double above.
template <int Block, class Element>
inline void sum_rows(const Maps& m, int cb, Range rows, ChannelSums& sums, const Element& element) {
  constexpr int width = lanes<Block>;
  constexpr int parts = Block / width;
  constexpr int chains = 4;  // independent additions in flight
  constexpr int most = 256 * chains;
  const int packs = m.hw * parts;
  Floats<width> a[chains] = {};
  Floats<width> b[chains] = {};
  const auto flush_all = [&] {
    for (int k = 0; k < chains; ++k) {
      flush<width>(a[k], &sums.first[static_cast<std::size_t>(k % parts * width)]);
      flush<width>(b[k], &sums.second[static_cast<std::size_t>(k % parts * width)]);
    }
  };
  int pending = 0;
  for (int i = rows.begin; i < rows.end; ++i) {
    std::size_t at = m.offset(i, cb);
    for (int p = 0; p < packs;) {
      const int end = std::min(packs, p + most - pending);
      pending += end - p;
      for (; p + chains <= end; p += chains) {
#pragma GCC unroll 4
        for (int k = 0; k < chains; ++k, at += width) element(at, k, a[k], b[k]);
      }
      for (; p < end; p += parts) {
#pragma GCC unroll 2
        for (int k = 0; k < parts; ++k, at += width) element(at, k, a[k], b[k]);
      }
      if (pending == most) {
        flush_all();
        pending = 0;
      }
    }
  }
  flush_all();
}

/// For every channel block cb: sums = reduce(cb, s, sums) over all slabs s in order, then
/// coefficients = finish(cb, sums, leader), then apply(cb, s, coefficients) for all slabs.
/// finish writes per-channel results only where `leader`. Blocks are dealt out whole, without a
/// barrier, while the blocks in work fit the shared cache together; otherwise, and for the blocks
/// left over, the team works on one block at a time.
/// @param block_bytes traffic of one block's sums
template <class Reduce, class Finish, class Apply>
void reduce_then_apply(const Maps& m, std::size_t block_bytes, const Reduce& reduce,
                       const Finish& finish, const Apply& apply) {
  constexpr std::size_t shared_cache = 16u << 20;
  constexpr std::size_t worth_sharing = 256u << 10;
  const Slabs slabs(m);
  const int blocks = m.blocks();
  std::array<ChannelSums, Slabs::most> shared;
  const bool wide = block_bytes * static_cast<std::size_t>(blocks) >= wide_bytes;
  parallel(wide, [&](Team team) {
    const auto threads = static_cast<std::size_t>(team.size);
    const bool share = team.size > 1 && slabs.count > 1 && block_bytes >= worth_sharing;
    int whole = blocks;
    if (share) whole = block_bytes * threads > shared_cache ? 0 : blocks / team.size * team.size;
    const Range mine = team.share(whole);
    for (int cb = mine.begin; cb < mine.end; ++cb) {
      ChannelSums total;
      for (int s = 0; s < slabs.count; ++s) {
        ChannelSums part;
        reduce(cb, s, part);
        total.add(part);
      }
      const auto coefficients = finish(cb, total, true);
      for (int s = slabs.count; s-- > 0;) apply(cb, s, coefficients);
    }
    const Range my_slabs = team.share(slabs.count);
    for (int cb = whole; cb < blocks; ++cb) {
      for (int s = my_slabs.begin; s < my_slabs.end; ++s) {
        ChannelSums part;
        reduce(cb, s, part);
        shared[static_cast<std::size_t>(s)] = part;
      }
      team.barrier();
      ChannelSums total;
      for (int s = 0; s < slabs.count; ++s) total.add(shared[static_cast<std::size_t>(s)]);
      const auto coefficients = finish(cb, total, team.rank == 0);
      for (int s = my_slabs.end; s-- > my_slabs.begin;) apply(cb, s, coefficients);
      team.barrier();
    }
  });
}

}  // namespace affuse::cpu
