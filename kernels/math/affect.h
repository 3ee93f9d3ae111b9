// Eq. 6-9 of the paper and the focal loss, with their gradients, for one sample; host and device.
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
  float focal_gamma = 0;    ///< exponent of (1 - p_k) in Eq. 6, at least 0; 0: plain Eq. 6
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

/// 1 - p[k] to full relative precision: near p[k] = 1 as the sum of the others.
template <class Real>
AFFUSE_HD Real complement(const Real* p, int k, int classes) {
  if (p[k] < Real(0.5)) return 1 - p[k];
  Real rest = 0;
  for (int j = 0; j < classes; ++j) rest += j == k ? Real(0) : p[j];
  return rest;
}

/// The focal loss of one class (Lin et al. 2017, Eq. 4): (1 - p)^gamma (-log p).
template <class Real>
struct FocalTerm {
  Real loss;
  Real pull;  ///< -p d loss / d p = (1 - p)^gamma (1 - gamma p log p / (1 - p))
};

/// Finite for p = 0 with finite log p, and for p = 1. gamma = 0: -log p and 1.
template <class Real>
AFFUSE_HD FocalTerm<Real> focal_term(Real gamma, const Real* log_p, const Real* p, int k,
                                     int classes) {
  if (gamma == Real(0)) return {-log_p[k], Real(1)};
  const Real rest = complement(p, k, classes);
  // Near p = 1 softmax's log p has lost its digits. log p / (1 - p), not (1 - p)^(gamma - 1), so
  // that gamma < 1 stays finite: the quotient goes to -1.
  const Real log = p[k] < Real(0.5) ? log_p[k] : std::log1p(-rest);
  const Real quotient = rest > Real(0) ? log / rest : Real(-1);
  const Real factor = std::pow(rest, gamma);
  return {-factor * log, factor * (1 - gamma * p[k] * quotient)};
}

/// Eq. 6, focal where gamma > 0: -sum_k a_k (1 - p_k)^gamma log p_k with a_k = weight q_k
/// (per_class: W_k q_k). With b_k = a_k pull_k (see FocalTerm; a_k where gamma = 0) adds scale
/// times its gradient, (sum_j b_j) p_k - b_k, to d_logits [K].
template <class Real>
AFFUSE_HD Real cross_entropy(const LossSettings& s, const Real* q, Real weight, const Real* log_p,
                             const Real* p, Real scale, Real* d_logits) {
  const bool per_class = s.mode == ClassWeightMode::per_class;
  Real loss = 0, mass = 0, b[kMaxClasses];
  for (int k = 0; k < s.classes; ++k) {
    const Real a = q[k] * (per_class ? Real(s.class_weight[k]) : weight);
    const FocalTerm<Real> term = focal_term(Real(s.focal_gamma), log_p, p, k, s.classes);
    loss += a * term.loss;
    mass += b[k] = a * term.pull;
  }
  for (int k = 0; k < s.classes; ++k) d_logits[k] += scale * (mass * p[k] - b[k]);
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

/// Eq. 9 of a sample whose softmax is known: adds scale times the gradient with respect to the
/// logits to d_logits [K] and writes the one with respect to va_hat to d_va [2].
template <class Real>
AFFUSE_HD LossTerms<Real> losses_of(const LossSettings& s, const Real* log_p, const Real* p,
                                    const Real* va_hat, const SampleTarget<Real>& t, Real scale,
                                    Real* d_logits, Real* d_va) {
  const Real weight = sample_weight(s, t);
  LossTerms<Real> terms;
  terms.ce = cross_entropy(s, t.q, weight, log_p, p, scale * Real(s.coef_ce), d_logits);
  terms.cs = cosine(s, t.q, weight, p, scale * Real(s.coef_cs), d_logits);
  terms.l2 = weighted_l2(s, va_hat, t, weight, scale * Real(s.coef_l2), d_va);
  return terms;
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
  for (int k = 0; k < s.classes; ++k) d_logits[k] = 0;
  return losses_of(s, log_p, p, va_hat, t, scale, d_logits, d_va);
}

/// The same of a mixed sample (kernels/math/mixup.h), whose targets are its own and its partner's:
/// mix L(own) + (1 - mix) L(partner), the criterion of Zhang et al. (ICLR 2018). Each target brings
/// its own class weight, and 0 in Eq. 8 where VA is not annotated.
template <class Real>
AFFUSE_HD LossTerms<Real> mixed_affect_loss(const LossSettings& s, const Real* logits,
                                            const Real* va_hat, const SampleTarget<Real>& own,
                                            const SampleTarget<Real>& partner, Real mix, Real scale,
                                            Real* p, Real* d_logits, Real* d_va) {
  Real log_p[kMaxClasses], d_va_partner[2];
  softmax(logits, s.classes, log_p, p);
  for (int k = 0; k < s.classes; ++k) d_logits[k] = 0;
  const Real rest = 1 - mix;
  const auto a = losses_of(s, log_p, p, va_hat, own, scale * mix, d_logits, d_va);
  const auto b = losses_of(s, log_p, p, va_hat, partner, scale * rest, d_logits, d_va_partner);
  for (int j = 0; j < 2; ++j) d_va[j] += d_va_partner[j];
  return {mix * a.ce + rest * b.ce, mix * a.cs + rest * b.cs, mix * a.l2 + rest * b.l2};
}

}  // namespace affuse::math
