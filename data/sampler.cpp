// Shuffling and batching of sample indices.
#include "data/sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {

std::vector<std::uint32_t> shuffled_order(std::size_t n, std::uint64_t seed, std::uint32_t epoch) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  Philox random(seed, Purpose::shuffle, epoch);
  for (std::size_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

Sampler::Sampler(std::size_t n, std::size_t batch, bool shuffle, std::uint64_t seed, bool drop_last,
                 Share share)
    : batch_(batch), batches_(0), share_(share), shuffle_(shuffle), seed_(seed) {
  if (batch == 0) throw ConfigError("the batch size must be at least 1");
  if (batch % share.size != 0)
    throw ConfigError(
        fmt::format("a batch of {} cannot be shared evenly by {}", batch, share.size));
  if (n > std::numeric_limits<std::uint32_t>::max()) throw DataError("too many samples (2^32)");
  batches_ = n / batch + (n % batch != 0 && !drop_last ? 1 : 0);
  order_.resize(n);
  std::iota(order_.begin(), order_.end(), 0u);
}

void Sampler::start_epoch(std::uint32_t epoch) {
  if (shuffle_) order_ = shuffled_order(order_.size(), seed_, epoch);
}

std::size_t Sampler::count(std::size_t b) const {
  return std::min(batch_, order_.size() - b * batch_);
}

std::span<const std::uint32_t> Sampler::batch(std::size_t b) const {
  const auto begin = [&](std::size_t rank) {
    return (count(b) * rank + share_.size - 1) / share_.size;
  };
  const std::size_t first = begin(share_.rank);
  return std::span(order_).subspan(b * batch_ + first, begin(share_.rank + 1) - first);
}

}  // namespace affuse
