// The order of the samples in an epoch: a function of (seed, epoch) alone.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace affuse {

/// A permutation of 0..n-1 (Fisher-Yates on Philox(seed, shuffle, epoch)).
std::vector<std::uint32_t> shuffled_order(std::size_t n, std::uint64_t seed, std::uint32_t epoch);

/// One of `size` ranks, which share every batch.
struct Share {
  std::size_t rank = 0, size = 1;
};

/// Cuts an epoch's order into batches.
class Sampler {
 public:
  /// n < 2^32 samples, batch >= 1, a multiple of share.size. With drop_last a short last batch is
  /// left out.
  Sampler(std::size_t n, std::size_t batch, bool shuffle, std::uint64_t seed, bool drop_last,
          Share share = {});

  void start_epoch(std::uint32_t epoch);

  std::size_t batches() const { return batches_; }
  /// Samples in batch b < batches(): `batch` of them, or fewer in the last.
  std::size_t count(std::size_t b) const;
  /// Sample indices of the rank's share of batch b, a contiguous part as even as can be: at most
  /// batch / share.size; rank 0's is never empty.
  std::span<const std::uint32_t> batch(std::size_t b) const;

 private:
  std::size_t batch_, batches_;
  Share share_;
  bool shuffle_;
  std::uint64_t seed_;
  std::vector<std::uint32_t> order_;
};

}  // namespace affuse
