// Global average pooling over NHWC maps. T is float, Half or Bf16.
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/maps.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// y[n][c] = mean over the pixels of each map, fp32.
template <class T>
void average_pool_forward(const T* x, const Maps& m, float* y, Stream stream);

/// dx[n][hw][c] = dy[n][c] / hw.
template <class T>
void average_pool_backward(const float* dy, const Maps& m, T* dx, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
