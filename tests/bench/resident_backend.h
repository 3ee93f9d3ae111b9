// A GPU backend for timing: a batch that stays on the device, and each step of a program apart.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"

namespace affuse::bench {

/// Forwards to another CUDA backend. The buffers of a program overwrite its inputs, so each start
/// puts the resident ones back first, outside of what is timed.
class ResidentBackend : public Backend {
 public:
  explicit ResidentBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  DeviceInfo info() const override { return inner_->info(); }
  ParameterLayout layout(const Graph& graph, const LowerSpec& spec) override {
    return inner_->layout(graph, spec);
  }
  void pack(ParamId id, std::span<const float> plain, std::span<float> stored) override {
    inner_->pack(id, plain, stored);
  }
  void unpack(ParamId id, std::span<const float> stored, std::span<float> plain) override {
    inner_->unpack(id, stored, plain);
  }
  Program lower(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                const EngineChoices* recorded) override {
    return inner_->lower(graph, spec, layout, recorded);
  }
  std::unique_ptr<Memory> allocate(std::size_t bytes) override {
    allocated_ += bytes;
    return inner_->allocate(bytes);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    inner_->upload(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    inner_->download(host, device, bytes);
  }
  void start(const Program& program, const Frame& frame, bool prepare) override;
  void finish() override;
  void forget(const Program& program) override { inner_->forget(program); }

  /// Puts these bytes into the program's input of that name before each run.
  void keep(const std::string& input, const void* host, std::size_t bytes);
  /// Whether it does: not where each run's inputs are uploaded.
  void set_restoring(bool restoring) { restoring_ = restoring; }
  /// Milliseconds of each step, in the program's order, of the runs that begin until stop_apart().
  void start_apart() { apart_ = std::make_unique<Apart>(); }
  std::vector<std::vector<float>> stop_apart();

  /// Bytes asked for so far: parameters and the programs' slab.
  std::size_t allocated() const { return allocated_; }
  /// From start to finish of the last run on the host's clock, ms.
  double milliseconds() const { return milliseconds_; }

 private:
  struct Apart {
    cuda::StreamHandle stream = cuda::make_stream();
    cuda::DeviceMemory state{sizeof(StepState)};
    std::vector<std::vector<float>> times;
  };

  void restore(const Program& program, const Frame& frame) const;
  void run_apart(const Program& program, const Frame& frame);

  std::unique_ptr<Backend> inner_;
  std::map<std::string, std::unique_ptr<cuda::DeviceMemory>> kept_;
  std::unique_ptr<Apart> apart_;
  bool restoring_ = true;
  std::size_t allocated_ = 0;
  double begun_ = 0, milliseconds_ = 0;
};

}  // namespace affuse::bench
