// Owners of CUDA's things: memory, streams, events, captured graphs. Every status is checked.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include <cuda_runtime_api.h>

#include "kernels/backend.h"

namespace affuse::cuda {

/// Throws DeviceError "WHAT: CUDA's words" unless status is success.
void check(cudaError_t status, const char* what);

template <class T, cudaError_t (*Destroy)(T)>
struct Destroyer {
  using pointer = T;
  void operator()(T handle) const { Destroy(handle); }
};

using StreamHandle = std::unique_ptr<cudaStream_t, Destroyer<cudaStream_t, cudaStreamDestroy>>;
using EventHandle = std::unique_ptr<cudaEvent_t, Destroyer<cudaEvent_t, cudaEventDestroy>>;
using GraphHandle = std::unique_ptr<cudaGraph_t, Destroyer<cudaGraph_t, cudaGraphDestroy>>;
using GraphExecHandle =
    std::unique_ptr<cudaGraphExec_t, Destroyer<cudaGraphExec_t, cudaGraphExecDestroy>>;

StreamHandle make_stream();
EventHandle make_event();

/// Zeroed device memory.
class DeviceMemory : public Memory {
 public:
  /// Throws DeviceError that names the size and what the device has left.
  explicit DeviceMemory(std::size_t bytes);
  void* data() const override { return data_.get(); }
  std::size_t bytes() const override { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { cudaFree(p); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t bytes_;
};

/// Page-locked host memory, which the device reads at full speed and beside other work.
class PinnedMemory {
 public:
  explicit PinnedMemory(std::size_t bytes);
  std::byte* data() const { return static_cast<std::byte*>(data_.get()); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { cudaFreeHost(p); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t bytes_;
};

}  // namespace affuse::cuda
