// Label posteriors and their fusion over a batch, each alone (Eq. 1-4 and the noise-aware mixture).
// A row is a sample; the models lie in device memory.
#pragma once
#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/math/posterior.h"
#include "kernels/math/targets.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Eq. 2: p [n, K] from va [n, 2].
void gmm_posterior(const math::GmmParams<float>* model, int classes, const float* va, int n,
                   float* p, Stream stream);

/// Eq. 3.
void euclid_posterior(const math::EuclidParams<float>* model, int classes, const float* va, int n,
                      float* p, Stream stream);

/// p(true class | va, label); label [n], -1: none.
void noise_aware_posterior(const math::NoiseAwareParams<float>* model, int classes, const float* va,
                           const std::int32_t* label, int n, float* p, Stream stream);

/// Eq. 4: out [n, K] = alpha onehot(label) + (1 - alpha) p; a label of -1 leaves p. out may be p.
void fuse_labels(float alpha, const std::int32_t* label, const float* p, int n, int classes,
                 float* out, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
