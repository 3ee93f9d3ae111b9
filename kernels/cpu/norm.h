// Batch normalisation over channel-blocked maps (torch.nn.BatchNorm2d), fused with the residual
// sum and ReLU. T is float or Bf16; statistics, parameters and sums are fp32 or better. Results do
// not depend on the number of threads.
#pragma once
#include <cstdint>

#include "kernels/cpu/maps.h"

namespace affuse::cpu {

/// Per-channel values of a normalisation, [c] each: gamma * (x - mean) * invstd + beta.
struct BatchNorm {
  const float* mean;
  const float* invstd;
  const float* gamma;
  const float* beta;
};

/// mean[c] and biased variance var[c] of x over the first `valid` samples.
/// @throws DeviceError on maps that are not blocked or `valid` outside 1..n, as all below.
template <class T>
void bn_statistics(const T* x, const Maps& m, int valid, float* mean, float* var);

/// invstd = 1 / sqrt(var + eps): from the batch's variance in training, the running one otherwise.
void bn_invstd(const float* var, int c, float eps, float* invstd);

/// running = (1 - momentum) * running + momentum * (mean, unbiased variance).
/// @param count values per channel behind mean and var: valid * hw
void bn_update_running(const float* mean, const float* var, int c, std::int64_t count,
                       float momentum, float* running_mean, float* running_var);

/// y = gamma (x - mean) invstd + beta, + residual (unless null), then ReLU if asked, for all n
/// samples; NaN stays NaN. y may be x or residual.
template <class T>
void bn_apply(const T* x, const Maps& m, const BatchNorm& bn, const T* residual, bool relu, T* y);

template <class T>
struct BnForward {
  const T* x;
  const float* gamma;
  const float* beta;
  const T* residual = nullptr;
  bool relu = true;
  float eps = 1e-5f;
  T* y;           ///< may be residual, not x
  float* mean;    ///< [c]
  float* var;     ///< [c], biased
  float* invstd;  ///< [c]
};

/// bn_statistics, bn_invstd and bn_apply in one schedule: a channel block is normalised while it is
/// still in cache. The same bits as the three in turn.
template <class T>
void bn_forward(const BnForward<T>& a, const Maps& m, int valid);

template <class T>
struct BnBackward {
  const T* dy;  ///< gradient of y
  const T* x;   ///< the normalisation's input
  const T* y;   ///< the unit's output, whose sign is ReLU's mask; null without ReLU
  const float* mean;
  const float* invstd;
  const float* gamma;
  T* dx;                    ///< overwritten; may be dy or x
  float* dgamma;            ///< [c], overwritten
  float* dbeta;             ///< [c], overwritten
  T* d_residual = nullptr;  ///< gradient of the residual: dy masked; may be dy (not when dx is)
  Write residual_write = Write::overwrite;
};

/// Gradient through ReLU (if y), residual sum (if d_residual) and training-mode batch norm, in two
/// passes per channel block: with g = dy where y > 0 and N = valid * hw,
/// dbeta = sum g, dgamma = invstd sum g (x - mean),
/// dx = gamma invstd (g - dbeta / N - (x - mean) invstd dgamma / N).
/// Samples from `valid` on take no part: their dx is 0, their d_residual 0 or unchanged.
template <class T>
void bn_backward(const BnBackward<T>& a, const Maps& m, int valid);

/// Inference: gamma (x - mean) / sqrt(var + eps) + beta = scale x + shift, [c] each.
void fold_bn(const float* gamma, const float* beta, const float* mean, const float* var, int c,
             float eps, float* scale, float* shift);

}  // namespace affuse::cpu
