// Several processes, one model: what a program needs of NCCL or MPI.
#pragma once
#include <cstddef>
#include <string>

namespace affuse {

/// Sums over the ranks, one process a device. Every rank makes the same calls in the same order.
/// The base class is the single process: every sum is the number itself. `stream` is the backend's
/// queue of work, null on the CPU.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  /// "mpi", "tcp", "nccl"; names the engine of the program's all_reduce steps.
  virtual std::string name() const { return "alone"; }

  /// Begins to replace `data` (device memory) by its sum over the ranks, once the work that
  /// `stream` holds so far is done. `data` is left alone until finish_sums().
  virtual void start_sum(float* /*data*/, std::size_t /*count*/, void* /*stream*/) {}
  /// Work that follows in `stream` finds every sum that was started.
  virtual void finish_sums(void* /*stream*/) {}
  /// A few numbers (device memory), in the order of `stream`; no sum is under way.
  virtual void sum(double* /*data*/, std::size_t /*count*/, void* /*stream*/) {}
};

}  // namespace affuse
