// What a head (a fully connected layer of a few outputs) has beside its matrix products: bias,
// tanh, and their gradients. fp32.
#pragma once
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// y[n][out] = activation(y + bias[out]); tanh or none.
void bias_activation(float* y, const float* bias, int n, int out, bool tanh, Stream stream);

/// d[n][out] = dy (1 - y^2) for tanh, dy otherwise, and db[out] = sum over n of d, in a fixed
/// order. d may be dy.
void bias_activation_backward(const float* dy, const float* y, int n, int out, bool tanh, float* d,
                              float* db, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
