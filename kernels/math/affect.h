// Eq. 6-9 of the paper with their gradients, for one sample; host and device.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "engine/host_device.h"
#include "kernels/math/posterior.h"  // kMaxClasses, argmax

namespace affuse::math {

/// Which weight W_k = N_max / N_k (Eq. 5) a sample gets. c is its class (see class_of).
enum class ClassWeightMode : std::uint8_t {
  sample,     ///< W_c in every term
  per_class,  ///< W_k inside the sum over k of Eq. 6; W_c in Eq. 7 and 8
  soft,       ///< sum_k q_k W_k in every term
  none        ///< 1
};

struct LossSettings {
  float coef_ce = 1;  ///< Eq. 9's coefficient of Eq. 6, cross-entropy
  float coef_cs = 1;  ///< of Eq. 7, cosine
  float coef_l2 = 1;  ///< of Eq. 8, weighted L2
  ClassWeightMode mode = ClassWeightMode::sample;
  bool weighted_l2 = true;  ///< false: weight 1 in Eq. 8
  int classes = 0;          ///< K, 1..kMaxClasses
  float class_weight[kMaxClasses] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
};

/// The targets of a batch, one array a field.
struct AffectTargets {
  const float* q = nullptr;              ///< [N, K] target distribution (fused label, Eq. 4)
  const std::int32_t* label = nullptr;   ///< [N] annotated class, -1: none
  const float* va = nullptr;             ///< [N, 2] valence, arousal; not read where has_va is 0
  const std::uint8_t* has_va = nullptr;  ///< [N]
};

/// One sample's target.
template <class Real>
struct SampleTarget {
  const Real* q;   ///< [K]
  int label;       ///< -1: none
  const Real* va;  ///< [2]
  bool has_va;
};

AFFUSE_HD SampleTarget<float> target_of(const AffectTargets& t, int row, int classes) {
  const auto n = static_cast<std::size_t>(row);
  return {t.q + n * static_cast<std::size_t>(classes), t.label[n], t.va + 2 * n, t.has_va[n] != 0};
}

/// A sample's three weighted losses, without the coefficients of Eq. 9.
template <class Real>
struct LossTerms {
  Real ce = 0;
  Real cs = 0;
  Real l2 = 0;
};

/// p = softmax(logits) and its logarithm, each [K]. Finite for all finite logits.
template <class Real>
AFFUSE_HD void softmax(const Real* logits, int classes, Real* log_p, Real* p) {
  Real top = logits[0];
  for (int k = 1; k < classes; ++k) top = logits[k] > top ? logits[k] : top;
  Real sum = 0;
  for (int k = 0; k < classes; ++k) {
    log_p[k] = logits[k] - top;
    p[k] = std::exp(log_p[k]);
    sum += p[k];
  }
  const Real log_sum = std::log(sum);
  for (int k = 0; k < classes; ++k) {
    log_p[k] -= log_sum;
    p[k] /= sum;
  }
}

/// The class of a sample: the annotated one, or the most probable of its target (first of equals).
template <class Real>
AFFUSE_HD int class_of(const SampleTarget<Real>& t, int classes) {
  return t.label >= 0 ? t.label : argmax(t.q, classes);
}

/// The weight of the whole sample.
template <class Real>
AFFUSE_HD Real sample_weight(const LossSettings& s, const SampleTarget<Real>& t) {
  if (s.mode == ClassWeightMode::none) return Real(1);
  if (s.mode != ClassWeightMode::soft) return Real(s.class_weight[class_of(t, s.classes)]);
  Real weight = 0;
  for (int k = 0; k < s.classes; ++k) weight += t.q[k] * Real(s.class_weight[k]);
  return weight;
}

/// Eq. 6: -sum_k a_k log p_k with a_k = weight q_k (per_class: W_k q_k). Adds scale times its
/// gradient, (sum_j a_j) p_k - a_k, to d_logits [K].
template <class Real>
AFFUSE_HD Real cross_entropy(const LossSettings& s, const Real* q, Real weight, const Real* log_p,
                             const Real* p, Real scale, Real* d_logits) {
  const bool per_class = s.mode == ClassWeightMode::per_class;
  Real loss = 0, mass = 0;
  for (int k = 0; k < s.classes; ++k) {
    const Real a = q[k] * (per_class ? Real(s.class_weight[k]) : weight);
    loss -= a * log_p[k];
    mass += a;
  }
  for (int k = 0; k < s.classes; ++k) {
    const Real a = q[k] * (per_class ? Real(s.class_weight[k]) : weight);
    d_logits[k] += scale * (mass * p[k] - a);
  }
  return loss;
}

/// Eq. 7: weight (1 - cos), cos = <q, p> / max(|q| |p|, 1e-8). Adds scale times its gradient with
/// respect to the logits: with h_k = -weight d cos / d p_k, p_k (h_k - sum_j p_j h_j).
template <class Real>
AFFUSE_HD Real cosine(const LossSettings& s, const Real* q, Real weight, const Real* p, Real scale,
                      Real* d_logits) {
  Real dot = 0, qq = 0, pp = 0;
  for (int k = 0; k < s.classes; ++k) {
    dot += q[k] * p[k];
    qq += q[k] * q[k];
    pp += p[k] * p[k];
  }
  const Real length = std::sqrt(qq) * std::sqrt(pp);
  const bool clamped = length < Real(1e-8);
  const Real inverse = 1 / (clamped ? Real(1e-8) : length);
  const Real cos = dot * inverse;
  // d cos / d p_k = q_k inverse - p_k pull; sum_j p_j of it is 0 unless the length is clamped.
  const Real pull = clamped ? Real(0) : cos / pp;
  const Real mean = dot * inverse - pp * pull;
  for (int k = 0; k < s.classes; ++k)
    d_logits[k] -= scale * weight * p[k] * (q[k] * inverse - p[k] * pull - mean);
  return weight * (1 - cos);
}

/// Eq. 8: weight |va - va_hat|^2; writes scale times its gradient with respect to va_hat to d_va.
template <class Real>
AFFUSE_HD Real squared_distance(const Real* va, const Real* va_hat, Real weight, Real scale,
                                Real* d_va) {
  const Real v = va_hat[0] - va[0], a = va_hat[1] - va[1];
  d_va[0] = scale * 2 * weight * v;
  d_va[1] = scale * 2 * weight * a;
  return weight * (v * v + a * a);
}

/// Eq. 8 of one sample with its switches: 0, with gradient 0, where VA is not annotated.
template <class Real>
AFFUSE_HD Real weighted_l2(const LossSettings& s, const Real* va_hat, const SampleTarget<Real>& t,
                           Real weight, Real scale, Real* d_va) {
  d_va[0] = d_va[1] = 0;
  if (!t.has_va) return Real(0);
  return squared_distance(t.va, va_hat, s.weighted_l2 ? weight : Real(1), scale, d_va);
}

/// Eq. 9 of one sample: writes p [K] and scale times the gradients of coef_ce L_CE + coef_cs L_CS
/// + coef_l2 L_2 with respect to logits [K] and va_hat [2] (after tanh). scale: 1 / valid samples
/// for a batch mean, times the loss scale.
template <class Real>
AFFUSE_HD LossTerms<Real> affect_loss(const LossSettings& s, const Real* logits, const Real* va_hat,
                                      const SampleTarget<Real>& t, Real scale, Real* p,
                                      Real* d_logits, Real* d_va) {
  Real log_p[kMaxClasses];
  softmax(logits, s.classes, log_p, p);
  const Real weight = sample_weight(s, t);
  for (int k = 0; k < s.classes; ++k) d_logits[k] = 0;
  LossTerms<Real> terms;
  terms.ce = cross_entropy(s, t.q, weight, log_p, p, scale * Real(s.coef_ce), d_logits);
  terms.cs = cosine(s, t.q, weight, p, scale * Real(s.coef_cs), d_logits);
  terms.l2 = weighted_l2(s, va_hat, t, weight, scale * Real(s.coef_l2), d_va);
  return terms;
}

}  // namespace affuse::math
