// Batch normalisation over NHWC maps (torch.nn.BatchNorm2d) with residual sum, ReLU and bitmask.
// T is float, Half or Bf16; statistics, parameters and sums are fp32 or better. All sums are taken
// in a fixed order: the same bits in every run. Samples from state->valid on are padding.
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/maps.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Scratch of bn_statistics and bn_backward_sums.
std::size_t bn_partial_bytes(const Maps& m);

template <class T>
struct BnStatistics {
  const T* x;
  float eps;
  void* partial;                  ///< bn_partial_bytes
  float* mean;                    ///< [c]
  float* invstd;                  ///< [c], 1 / sqrt(biased variance + eps)
  float* running_mean = nullptr;  ///< [c], both or none: moved by state->bn_momentum towards mean
  float* running_var = nullptr;   ///< [c], and the unbiased variance
  const StepState* state;         ///< device memory
};

/// Statistics over the state->valid first samples.
template <class T>
void bn_statistics(const BnStatistics<T>& a, const Maps& m, Stream stream);

/// Evaluation: invstd = 1 / sqrt(running_var + eps), [c].
void bn_invstd(const float* running_var, int c, float eps, float* invstd, Stream stream);

template <class T>
struct BnApply {
  const T* x;
  const float *mean, *invstd, *gamma, *beta;  ///< [c]
  const T* residual = nullptr;
  bool relu = true;
  T* y;                          ///< may be x or residual
  std::uint8_t* mask = nullptr;  ///< [size / 8], which y are > 0 (or NaN); null: not kept
};

/// y = gamma (x - mean) invstd + beta, + residual, then ReLU, for all samples; NaN stays NaN.
template <class T>
void bn_apply(const BnApply<T>& a, const Maps& m, Stream stream);

template <class T>
struct BnBackward {
  const T* dy;                         ///< gradient of the unit's output
  const T* dy2 = nullptr;              ///< a second one to add (fan-in), or null
  const std::uint8_t* mask = nullptr;  ///< ReLU's, or null
  const T* x;                          ///< the normalisation's input
  const float *mean, *invstd, *gamma;  ///< [c]
  void* partial;                       ///< bn_partial_bytes
  T* g = nullptr;  ///< written by the sums, 0 for padding: (dy + dy2) masked, the gradient that the
                   ///< residual gets; may be dy or dy2. Null: not kept
  float* dgamma;   ///< [c], written by the sums
  float* dbeta;    ///< [c], written by the sums
  T* dx;           ///< written by the apply, 0 for padding; may be dy, dy2, g or x
  const StepState* state;
};

/// With g = dy + dy2 where the mask is set: dbeta = sum g, dgamma = invstd sum g (x - mean).
template <class T>
void bn_backward_sums(const BnBackward<T>& a, const Maps& m, Stream stream);

/// dx = gamma invstd (g - dbeta / N - (x - mean) invstd dgamma / N), N = valid hw, from the sums
/// and, where it was kept, g instead of dy, dy2 and mask.
template <class T>
void bn_backward_apply(const BnBackward<T>& a, const Maps& m, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
