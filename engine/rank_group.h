// The processes of one training, in touch over TCP: small collectives on host memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/rank_watch.h"
#include "engine/ranks.h"

namespace affuse {

/// Every rank makes the same calls in the same order, one at a time. A call waits for the others
/// as long as they live, however long; it throws Error naming a rank that ended.
/// A star around rank 0: fit for control, for large sums only where there is nothing better.
class RankGroup {
 public:
  /// A single process: every call returns at once.
  RankGroup() = default;
  /// Meets the others at `ranks.address`; all must come within `timeout_s`, and a silence of that
  /// length counts as an end. `on_lost`: see RankWatch. Throws Error naming who is missing.
  RankGroup(const Ranks& ranks, double timeout_s, std::function<void(const std::string&)> on_lost);
  RankGroup(const RankGroup&) = delete;
  RankGroup& operator=(const RankGroup&) = delete;
  /// Without leave(): the others end.
  ~RankGroup();

  int rank() const { return ranks_.rank; }
  int size() const { return ranks_.size; }
  const Ranks& ranks() const { return ranks_; }
  /// Rank 0 writes the files and speaks to the user.
  bool first() const { return ranks_.rank == 0; }

  /// Sums over the ranks in their order; every rank gets the same bits.
  void sum(double* data, std::size_t count);
  void sum(float* data, std::size_t count);
  void max(double* data, std::size_t count);
  void barrier();
  /// Rank 0's bytes, or its text, for all.
  void broadcast(void* data, std::size_t bytes);
  std::string broadcast(const std::string& text);

  /// Parts in peace: the ends of the others no longer matter.
  void leave();
  /// Throws Error with the line of on_lost, or, where nobody is known to have ended, with `what`.
  [[noreturn]] void fail(const std::string& what);

 private:
  template <class T, class Combine>
  void combine(T* data, std::size_t count, Combine combine);
  void send(const Socket& to, const void* data, std::size_t bytes);
  void receive(const Socket& from, void* data, std::size_t bytes);

  Ranks ranks_;
  std::vector<Socket> links_;  ///< rank 0: to rank i + 1; others: to rank 0
  std::unique_ptr<RankWatch> watch_;
};

}  // namespace affuse
