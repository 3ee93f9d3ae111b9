// Eq. 6-9 over a batch on the CPU: each term alone and all fused.
#pragma once
#include "kernels/math/affect.h"

namespace affuse::cpu {

/// Where a fused pass writes; rows from `valid` on get exact zeros.
struct AffectLossOutput {
  float* d_logits;       ///< [N, K] gradient of `scale` times the batch mean of Eq. 9
  float* d_va;           ///< [N, 2] the same, with respect to the VA prediction (after tanh)
  float* terms;          ///< [N, 3] weighted CE, CS, L2 of each sample, without coefficients
  float* probabilities;  ///< [N, K] softmax
};

/// Means over the valid samples (0 for none), summed in double in the samples' order, without
/// coefficients; finite: every loss and gradient is.
struct BatchLoss {
  double ce = 0;
  double cs = 0;
  double l2 = 0;
  bool finite = true;

  /// Eq. 9.
  double total(const math::LossSettings& s) const {
    return s.coef_ce * ce + s.coef_cs * cs + s.coef_l2 * l2;
  }
};

/// Eq. 9 and its gradients in one pass. logits [N, K], va_hat [N, 2]; 0 <= valid <= n; scale: the
/// loss scale; mix: mixup's share (StepState::mix), below 1 each row's terms are blended with those
/// against its partner's target. Throws Error for an unusable shape, DataError for a label outside
/// -1..K-1.
BatchLoss affect_loss_forward_backward(const math::LossSettings& settings, const float* logits,
                                       const float* va_hat, const math::AffectTargets& targets,
                                       int n, int valid, const AffectLossOutput& out,
                                       float scale = 1, float mix = 1);

/// Softmax of n rows of K logits.
void softmax(const float* logits, int n, int classes, float* probabilities);

/// Eq. 6 alone: returns the batch mean, writes terms [N] and coef_ce times the gradient to
/// d_logits.
double softmax_ce(const math::LossSettings& settings, const float* logits,
                  const math::AffectTargets& targets, int n, int valid, float* terms,
                  float* d_logits);

/// Eq. 7 alone, likewise with coef_cs.
double cosine(const math::LossSettings& settings, const float* logits,
              const math::AffectTargets& targets, int n, int valid, float* terms, float* d_logits);

/// Eq. 8 alone: writes coef_l2 times the gradient to d_va [N, 2].
double l2(const math::LossSettings& settings, const float* va_hat,
          const math::AffectTargets& targets, int n, int valid, float* terms, float* d_va);

}  // namespace affuse::cpu
