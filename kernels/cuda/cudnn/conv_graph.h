// A convolution as cuDNN's operation graph.
#pragma once
#include <cstdint>

#include "kernels/cuda/cudnn/descriptor.h"
#include "kernels/cuda/vendor.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// The tensors' names in a variant pack.
namespace uid {
inline constexpr std::int64_t x = 1, w = 2, y = 3;
}  // namespace uid

/// Every operand's address must be a multiple of it.
inline constexpr std::int64_t kConvAlignment = 16;

/// The finalised graph of one convolution (or its gradient by data or weights): NHWC maps, KRSC
/// weights, products summed in fp32; the result overwrites. Throws DeviceError for a type that
/// convolutions do not come in. `handle`: of the GPU, or nullptr for a described one.
Descriptor conv_graph(const ConvProblem& problem, cudnnHandle_t handle);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
