// Runs cuDNN's plans on a GPU.
#pragma once
#include <memory>

#include "kernels/cuda/cudnn/plans.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// A cuDNN context on the thread's current device.
class CudnnHandle {
 public:
  CudnnHandle() { check(cudnnCreate(&raw_), "open the device"); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  ~CudnnHandle() { cudnnDestroy(raw_); }
  cudnnHandle_t get() const { return raw_; }

 private:
  cudnnHandle_t raw_ = nullptr;
};

/// The addresses of one run, by the names of uid.
Descriptor variant_pack(const ConvArguments& arguments);

/// Enqueues the plan. Allocates no device memory and can be captured once it ran.
void execute(const CudnnHandle& handle, const Plan& plan, const ConvArguments& arguments,
             Stream stream);

/// The plan that is fastest on the device: each runs on scratch memory, once to load its kernels
/// and three times for a median. A plan that fails to run is passed over; throws DeviceError when
/// all do or memory is short.
Plan fastest(const CudnnHandle& handle, const ConvProblem& problem, std::vector<Plan> plans);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
