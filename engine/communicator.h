// Several processes, one model: what a program needs of NCCL or MPI.
#pragma once
#include <cstddef>

namespace affuse {

/// One process a device. The base class is the single process: every collective is a no-op.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  /// Replaces `data` (device memory, fp32) by its mean over the ranks.
  virtual void all_reduce_mean(float* /*data*/, std::size_t /*count*/) {}
  virtual void barrier() {}
};

}  // namespace affuse
