// Programs as CUDA Graphs: a program runs step by step once, which loads every kernel, is captured
// the second time and replayed from then on.
#pragma once
#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/device/runtime.h"

namespace affuse::cuda {

class CapturedPrograms {
 public:
  CapturedPrograms();

  /// Enqueues the steps (those marked once, or the others) with the frame's addresses and stream.
  void run(const Program& program, const Frame& frame, bool once);
  /// The program is about to end.
  void forget(const Program& program);

 private:
  struct Entry {
    std::vector<void*> address;  // what was captured; another frame is captured anew
    bool warm = false;
    GraphExecHandle graph;
  };

  static void run_steps(const Program& program, const Frame& frame, bool once);
  static GraphExecHandle capture(const Program& program, const Frame& frame, bool once);

  bool enabled_;  // AFFUSE_CUDA_GRAPH=off keeps the steps apart for a profiler's timeline
  std::map<std::pair<const Program*, bool>, Entry> entries_;
};

}  // namespace affuse::cuda
