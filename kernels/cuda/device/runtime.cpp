#include "kernels/cuda/device/runtime.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse::cuda {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw DeviceError(
        fmt::format("{}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status)));
}

StreamHandle make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return StreamHandle(stream);
}

EventHandle make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
  return EventHandle(event);
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(std::max<std::size_t>(bytes, 1)) {
  void* p = nullptr;
  if (cudaMalloc(&p, bytes_) != cudaSuccess) {
    cudaGetLastError();  // the failure is not the next call's
    std::size_t left = 0, all = 0;
    cudaMemGetInfo(&left, &all);
    throw DeviceError(
        fmt::format("{} MiB of device memory are not to be had ({} of {} MiB are free); a smaller "
                    "train.batch_size, 16-bit train.precision or train.workspace_mb needs less",
                    bytes_ >> 20, left >> 20, all >> 20));
  }
  data_.reset(p);
  check(cudaMemset(p, 0, bytes_), "clearing device memory");
  // Streams that do not block do not wait for it: an upload would come first and be cleared.
  check(cudaStreamSynchronize(nullptr), "clearing device memory");
}

PinnedMemory::PinnedMemory(std::size_t bytes) : bytes_(std::max<std::size_t>(bytes, 1)) {
  void* p = nullptr;
  check(cudaMallocHost(&p, bytes_), "allocating page-locked host memory");
  data_.reset(p);
}

}  // namespace affuse::cuda
