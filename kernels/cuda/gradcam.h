// Grad-CAM's weighted sum (Selvaraju et al. 2017, Eq. 1-2).
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/maps.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// cam[n][hw] = relu(sum_c w[n][c] a[n][hw][c]), w[n][c] = mean over hw of gradient[n][hw][c].
/// weights is 16-byte aligned.
template <class T>
void gradcam(const T* activation, const T* gradient, const Maps& m, float* weights /* [n, c] */,
             float* cam, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
