// Executing and timing plans.
#include "kernels/cuda/cudnn/execute.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/error.h"
#include "kernels/cuda/cudnn/conv_graph.h"
#include "kernels/cuda/device/runtime.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

EventHandle timing_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "creating an event");
  return EventHandle(event);
}

/// Operands and workspace in one piece of memory.
class Scratch {
 public:
  Scratch(const ConvProblem& p, std::size_t workspace_bytes)
      : y_(place(size_of(p.type), {p.n, p.out, p.out_h(), p.out_w()})),
        w_(place(size_of(p.type), {p.out, p.in, p.kernel, p.kernel})),
        x_(place(size_of(p.type), {p.n, p.in, p.h, p.w})),
        memory_(end_ + workspace_bytes) {}

  ConvArguments arguments() const { return {at(x_), at(w_), at(y_), at(end_)}; }

 private:
  std::size_t place(std::size_t bytes, std::array<int, 4> dims) {
    for (const int dim : dims) bytes *= static_cast<std::size_t>(dim);
    return std::exchange(end_, end_ + (bytes + 255) / 256 * 256);
  }
  void* at(std::size_t offset) const { return static_cast<std::byte*>(memory_.data()) + offset; }

  std::size_t end_ = 0;
  std::size_t y_, w_, x_;
  DeviceMemory memory_;
};

class Stopwatch {
 public:
  float milliseconds(const CudnnHandle& handle, const Plan& plan, const ConvArguments& arguments) {
    execute(handle, plan, arguments, stream_.get());
    check(cudaStreamSynchronize(stream_.get()), "warming a convolution up");
    std::array<float, 3> times{};
    for (float& time : times) {
      check(cudaEventRecord(begin_.get(), stream_.get()), "timing a convolution");
      execute(handle, plan, arguments, stream_.get());
      check(cudaEventRecord(end_.get(), stream_.get()), "timing a convolution");
      check(cudaEventSynchronize(end_.get()), "timing a convolution");
      check(cudaEventElapsedTime(&time, begin_.get(), end_.get()), "timing a convolution");
    }
    std::sort(times.begin(), times.end());
    return times[1];
  }

 private:
  StreamHandle stream_ = make_stream();
  EventHandle begin_ = timing_event(), end_ = timing_event();
};

}  // namespace

Descriptor variant_pack(const ConvArguments& arguments) {
  const std::array<std::int64_t, 3> ids{uid::x, uid::w, uid::y};
  const std::array<void*, 3> addresses{arguments.x, arguments.w, arguments.y};
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::ssize(addresses),
           addresses.data())
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &arguments.workspace)
      .finalize();
  return pack;
}

void execute(const CudnnHandle& handle, const Plan& plan, const ConvArguments& arguments,
             Stream stream) {
  const Descriptor pack = variant_pack(arguments);
  check(cudnnSetStream(handle.get(), static_cast<cudaStream_t>(stream)), "take the stream");
  check(cudnnBackendExecute(handle.get(), plan.plan.get(), pack.get()), "run a convolution");
}

Plan fastest(const CudnnHandle& handle, const ConvProblem& problem, std::vector<Plan> plans) {
  std::size_t workspace = 0;
  for (const Plan& plan : plans) workspace = std::max(workspace, plan.workspace_bytes);
  const Scratch scratch(problem, workspace);
  Stopwatch stopwatch;
  std::optional<std::pair<float, Plan*>> best;
  std::string complaint;
  for (Plan& plan : plans) try {
      const float time = stopwatch.milliseconds(handle, plan, scratch.arguments());
      if (!best || time < best->first) best.emplace(time, &plan);
    } catch (const DeviceError& error) {
      complaint = plan.engine + ": " + error.what();
    }
  if (!best) throw DeviceError(complaint);
  return std::move(*best->second);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
