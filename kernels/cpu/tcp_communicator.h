// Sums over the group's own connections: for CPU ranks that no MPI launcher started.
#pragma once
#include <future>
#include <memory>

#include "engine/communicator.h"
#include "engine/rank_group.h"

namespace affuse::cpu {

class TcpCommunicator : public Communicator {
 public:
  explicit TcpCommunicator(std::shared_ptr<RankGroup> group) : group_(std::move(group)) {}

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string name() const override { return "tcp"; }
  /// On a thread, one slice after the other.
  void start_sum(float* data, std::size_t count, void* stream) override;
  void finish_sums(void* stream) override;
  void sum(double* data, std::size_t count, void* stream) override;

 private:
  std::shared_ptr<RankGroup> group_;
  std::future<void> last_;  ///< the slice that was started last; it waits for those before
};

}  // namespace affuse::cpu
