// The two vendors of the real CUDA build.
#pragma once
#include <memory>

#include "kernels/cuda/vendor.h"
#include "kernels/described_device.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Plans for a GPU that is not there: cuDNN's first choice within the cap. run() throws
/// DeviceError. Needs no driver. Throws DeviceError where cuDNN does not take the description.
std::unique_ptr<Vendor> make_planning_vendor(const DescribedDevice& device);

/// cuDNN and cuBLASLt on CUDA device `device`, which becomes the thread's current one. Candidates
/// are timed on scratch memory, so make programs before filling the device. Operands are 16-byte
/// aligned, workspaces 256. run() allocates nothing and can be captured. Throws DeviceError.
std::unique_ptr<Vendor> make_cudnn_vendor(int device);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
