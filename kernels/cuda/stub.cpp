// Stands in for the CUDA backend in a build without the CUDA toolkit.
#include "engine/error.h"
#include "kernels/backend.h"
#include "kernels/described_device.h"

namespace affuse {

std::unique_ptr<Backend> make_cuda_backend(int /*device*/) {
  throw DeviceError("this build has no CUDA backend; use train.device=cpu or auto");
}

std::unique_ptr<Backend> make_planning_backend(const DescribedDevice& device) {
  throw DeviceError("this build has no CUDA backend, whose cuDNN plans for " + device.name +
                    "; build with cmake --preset cuda");
}

}  // namespace affuse
