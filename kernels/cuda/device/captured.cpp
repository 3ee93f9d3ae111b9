#include "kernels/cuda/device/captured.h"

#include <cstdlib>
#include <string_view>

#include <nvtx3/nvToolsExt.h>

#include "engine/error.h"

namespace affuse::cuda {
namespace {

/// A named range in a profiler's timeline.
class Range {
 public:
  explicit Range(const std::string& name) { nvtxRangePushA(name.c_str()); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
  ~Range() { nvtxRangePop(); }
};

}  // namespace

CapturedPrograms::CapturedPrograms() {
  const char* setting = std::getenv("AFFUSE_CUDA_GRAPH");
  enabled_ = setting == nullptr || std::string_view(setting) != "off";
}

void CapturedPrograms::run(const Program& program, const Frame& frame, bool once) {
  const Range range(program.name);
  if (!enabled_ || once) return run_steps(program, frame, once);
  Entry& entry = entries_[{&program, once}];
  if (entry.address != frame.address) entry = {frame.address, false, {}};
  if (!std::exchange(entry.warm, true)) return run_steps(program, frame, once);
  if (entry.graph == nullptr) entry.graph = capture(program, frame, once);
  check(cudaGraphLaunch(entry.graph.get(), static_cast<cudaStream_t>(frame.stream)),
        "launching the captured program");
}

void CapturedPrograms::forget(const Program& program) {
  entries_.erase({&program, false});
  entries_.erase({&program, true});
}

void CapturedPrograms::run_steps(const Program& program, const Frame& frame, bool once) {
  for (const Step& step : program.steps) {
    if (step.once != once) continue;
    const Range range(step.name);
    step.run(frame);
  }
}

GraphExecHandle CapturedPrograms::capture(const Program& program, const Frame& frame, bool once) {
  const auto stream = static_cast<cudaStream_t>(frame.stream);
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing the program");
  cudaGraph_t raw = nullptr;
  try {
    run_steps(program, frame, once);
  } catch (...) {
    cudaStreamEndCapture(stream, &raw);
    const GraphHandle broken(raw);
    throw;
  }
  check(cudaStreamEndCapture(stream, &raw), "capturing the program");
  const GraphHandle graph(raw);
  cudaGraphExec_t exec = nullptr;
  check(cudaGraphInstantiate(&exec, graph.get(), 0), "instantiating the captured program");
  return GraphExecHandle(exec);
}

}  // namespace affuse::cuda
