// The training target of one face: posterior of the VA plane (Eq. 1-3 or the noise-aware mixture)
// fused with the annotated class (Eq. 4) and smoothed; host and device.
#pragma once
#include <cstdint>

#include "kernels/math/posterior.h"

namespace affuse::math {

enum class TargetKind : std::uint8_t { gmm, euclid, noise_aware, onehot, given };

/// A fitted label model as a device holds it.
template <class Real>
struct TargetModel {
  TargetKind kind;
  int classes;
  bool knows_va;   ///< false: the model stands on no VA point, every sample is as if without VA
  Real alpha;      ///< share of the one-hot label (Eq. 4), in [0, 1]
  Real smoothing;  ///< share of the uniform distribution, in [0, 1)
  GmmParams<Real> gmm;
  EuclidParams<Real> euclid;
  NoiseAwareParams<Real> noise_aware;
};

/// One sample's annotations. given [K] is read by TargetKind::given alone; an all-zero row is none.
template <class Real>
struct Annotation {
  int label;  ///< -1: none
  bool has_va;
  Real v, a;
  const Real* given;
};

/// p(y | x)_VA into p [K]; false where the sample has none.
template <class Real>
AFFUSE_HD bool va_posterior(const TargetModel<Real>& m, const Annotation<Real>& s, Real* p) {
  if (m.kind == TargetKind::given) {
    Real sum = 0;
    for (int k = 0; k < m.classes; ++k) sum += p[k] = s.given[k];
    return sum > Real(0);
  }
  if (!s.has_va || !m.knows_va) return false;
  switch (m.kind) {
    case TargetKind::euclid:
      euclid_posterior(m.euclid, s.v, s.a, p);
      return true;
    case TargetKind::noise_aware:
      noise_aware_posterior(m.noise_aware, s.v, s.a, s.label, p);
      return true;
    default:
      gmm_posterior(m.gmm, s.v, s.a, p);
      return true;
  }
}

/// Label smoothing (Szegedy et al. 2016): q [K] becomes (1 - share) q + share / K.
template <class Real>
AFFUSE_HD void smooth(Real share, int classes, Real* q) {
  const Real floor = share / Real(classes);
  for (int k = 0; k < classes; ++k) q[k] = (Real(1) - share) * q[k] + floor;
}

/// The label of one sample before smoothing, into q [K]: fused where there are class and VA,
/// one-hot without VA, p_VA alone without a class (onehot: its argmax). Without either q is zeros,
/// and the result false.
template <class Real>
AFFUSE_HD bool fused_label(const TargetModel<Real>& m, const Annotation<Real>& s, Real* q) {
  const bool one_hot = m.kind == TargetKind::onehot && s.label >= 0;
  const bool has_posterior = !one_hot && va_posterior(m, s, q);
  if (has_posterior && s.label >= 0) {
    fuse(m.alpha, s.label, q, m.classes, q);
  } else if (!has_posterior || m.kind == TargetKind::onehot) {
    const int only = has_posterior ? argmax(q, m.classes) : s.label;
    for (int k = 0; k < m.classes; ++k) q[k] = k == only ? Real(1) : Real(0);
  }
  return has_posterior || s.label >= 0;
}

/// The distribution that the losses train on, into q [K]: the fused label, smoothed; zeros for a
/// sample without class and VA.
template <class Real>
AFFUSE_HD void training_target(const TargetModel<Real>& m, const Annotation<Real>& s, Real* q) {
  if (fused_label(m, s, q)) smooth(m.smoothing, m.classes, q);
}

}  // namespace affuse::math
