// Eq. 1-9 over a batch on the GPU: every term alone, and label fusion, losses and gradients fused
// in one kernel. Settings, models, StepState and all arrays lie in device memory.
#pragma once
#include "engine/step_state.h"
#include "kernels/cuda/stream.h"
#include "kernels/math/affect.h"
#include "kernels/math/targets.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

struct AffectLoss {
  const math::TargetModel<float>* model;
  const math::LossSettings* settings;
  int n, classes;
  const float* logits;         ///< [n, K]
  const float* va_hat;         ///< [n, 2], after tanh
  const std::int32_t* label;   ///< [n], -1: none
  const float* va;             ///< [n, 2]
  const std::uint8_t* has_va;  ///< [n]
  const float* given;          ///< [n, K]
  float* target;               ///< [n, K] fused labels
  float* probability;          ///< [n, K] softmax
  float* terms;                ///< [n, 3] weighted CE, CS, L2, without coefficients
  float* d_logits;             ///< [n, K] loss_scale share / valid times the gradient of Eq. 9
  float* d_va;                 ///< [n, 2], likewise
  StepState* state;  ///< reads valid, mix, loss_scale, share; writes the losses and found_inf
};

/// Rows from state->valid on get zeros, but target gets every row's. The losses are means over the
/// valid samples, summed in double in a fixed order; found_inf is 1 where a term or gradient is not
/// finite, else 0. With state->mix below 1 a row's terms and gradients are blended with those
/// against its partner's target (kernels/math/mixup.h).
void affect_loss(const AffectLoss& a, Stream stream);

/// A batch for the terms alone. valid rows count; q [n, K].
struct LossTerm {
  const math::LossSettings* settings;
  math::AffectTargets targets;  ///< device pointers
  int n, valid, classes;
};

/// Softmax of n rows of K logits.
void softmax(const float* logits, int n, int classes, float* probability, Stream stream);
/// Eq. 6: terms [n], and d_logits [n, K] = coef_ce / valid times its gradient; zeros from valid on.
void softmax_ce(const LossTerm& a, const float* logits, float* terms, float* d_logits,
                Stream stream);
/// Eq. 7, likewise with coef_cs.
void cosine(const LossTerm& a, const float* logits, float* terms, float* d_logits, Stream stream);
/// Eq. 8, likewise with coef_l2; va_hat and d_va are [n, 2].
void weighted_l2(const LossTerm& a, const float* va_hat, float* terms, float* d_va, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
