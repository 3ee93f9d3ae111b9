// Parameters in the GPU's order: convolution weights KRSC with the input channels padded to 16
// bytes, everything else as it is.
#pragma once
#include <span>

#include "kernels/backend.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// The element type of activations; throws nothing: every precision is the GPU's.
DType activation_type(Precision precision);

/// `channels` rounded up so that a pixel's channels fill whole 16-byte packs.
int padded_channels(int channels, DType type);

/// Every slot starts at a multiple of 256 bytes in fp32, of 128 bytes in 16 bit.
ParameterLayout parameter_layout(const Graph& graph, DType type);

/// OIHW to KRSC with padded channels (zero), and back. shape is the parameter's public one.
void pack_weights(const Shape& shape, DType type, std::span<const float> plain,
                  std::span<float> stored);
void unpack_weights(const Shape& shape, DType type, std::span<const float> stored,
                    std::span<float> plain);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
