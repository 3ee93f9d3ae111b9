// Class probabilities of one face from its valence and arousal: Eq. 1-4 and the noise-aware
// mixture.
#pragma once
#include <cmath>
#include <type_traits>

#include "engine/host_device.h"

namespace affuse::math {

inline constexpr int kMaxClasses = 32;    ///< classes that the parameter structs hold
inline constexpr int kMaxComponents = 8;  ///< Gaussians a class of the noise-aware mixture

/// Stands for log 0: finite, so that differences of scores are never NaN, even in fast-math code.
inline constexpr double kLogZero = -1e30;
/// Squared distances are capped here, so that a point at 1e300 still gets a distribution.
inline constexpr double kMaxSquaredDistance = 1e24;
/// Floor of the distance of Eq. 3: a point on a class's mean gives that class 1, and no NaN.
inline constexpr double kMinDistance = 1e-12;

/// w N(x | mu, Sigma) over (valence, arousal), ready to evaluate: with L the Cholesky factor of
/// Sigma and W = L^-1, log(w N(x)) = log_scale - |W (x - mu)|^2 / 2.
template <class Real>
struct Gaussian {
  Real mu_v, mu_a;
  Real w11, w21, w22;  ///< W, lower triangular
  Real log_scale;      ///< log w - log(2 pi) - log det L; kLogZero for an absent component
};

/// Eq. 1-2: one Gaussian a class.
template <class Real>
struct GmmParams {
  int classes;
  Gaussian<Real> gaussian[kMaxClasses];
};

/// Eq. 3: one centroid a class.
template <class Real>
struct EuclidParams {
  int classes;
  int power;  ///< 2: squared distance (the paper's text), 1: distance
  Real mu_v[kMaxClasses], mu_a[kMaxClasses];
  bool present[kMaxClasses];  ///< false: a class without a point, probability 0
};

/// p(x, y) = sum_k T(y | k) sum_c w_kc N(x | mu_kc, Sigma_kc); y is the annotated class, k the
/// true.
template <class Real>
struct NoiseAwareParams {
  int classes;
  int components;
  Gaussian<Real> gaussian[kMaxClasses * kMaxComponents];  ///< [class * components + component]
  Real log_t[kMaxClasses * kMaxClasses];                  ///< log T(y | k) at [y * classes + k]
};

static_assert(std::is_trivially_copyable_v<NoiseAwareParams<float>>);

/// The Gaussian of weight w, mean and covariance [[vv, va], [va, aa]] (positive definite).
template <class Real>
AFFUSE_HD Gaussian<Real> make_gaussian(Real w, Real mu_v, Real mu_a, Real vv, Real va, Real aa) {
  if (!(w > Real(0))) return {mu_v, mu_a, Real(0), Real(0), Real(0), Real(kLogZero)};
  const Real l11 = std::sqrt(vv), l21 = va / l11, l22 = std::sqrt(aa - l21 * l21);
  const Real log_two_pi = Real(1.8378770664093454836);
  const Real log_scale = std::log(w) - log_two_pi - std::log(l11) - std::log(l22);
  return {mu_v, mu_a, Real(1) / l11, -l21 / (l11 * l22), Real(1) / l22, log_scale};
}

/// log(w N(x | mu, Sigma)); kLogZero for an absent component.
template <class Real>
AFFUSE_HD Real log_density(const Gaussian<Real>& g, Real v, Real a) {
  const Real dv = v - g.mu_v, da = a - g.mu_a;
  const Real z1 = g.w11 * dv, z2 = g.w21 * dv + g.w22 * da;
  const Real q = z1 * z1 + z2 * z2;
  return g.log_scale - Real(0.5) * (q < Real(kMaxSquaredDistance) ? q : Real(kMaxSquaredDistance));
}

/// Turns log scores p[0, n) into probabilities in place (log-sum-exp) and returns the log of their
/// sum. Scores at kLogZero become 0; with nothing but those, p is left uniform.
template <class Real>
AFFUSE_HD Real normalize_scores(Real* p, int n) {
  Real top = p[0];
  for (int k = 1; k < n; ++k) top = p[k] > top ? p[k] : top;
  Real sum = Real(0);
  for (int k = 0; k < n; ++k) sum += p[k] = std::exp(p[k] - top);
  for (int k = 0; k < n; ++k) p[k] /= sum;
  return top + std::log(sum);
}

/// Eq. 2: p[k] = p(k | x), k < classes, for any finite x.
template <class Real>
AFFUSE_HD void gmm_posterior(const GmmParams<Real>& m, Real v, Real a, Real* p) {
  for (int k = 0; k < m.classes; ++k) p[k] = log_density(m.gaussian[k], v, a);
  normalize_scores(p, m.classes);
}

/// Eq. 3: p[k] proportional to max_j d_j / d_k, for any finite x. Computed as min_j d_j / d_k,
/// which is the same after normalising and cannot overflow.
template <class Real>
AFFUSE_HD void euclid_posterior(const EuclidParams<Real>& m, Real v, Real a, Real* p) {
  Real nearest = Real(kMaxSquaredDistance);
  for (int k = 0; k < m.classes; ++k) {
    const Real dv = v - m.mu_v[k], da = a - m.mu_a[k];
    Real d = dv * dv + da * da;
    if (m.power == 1) d = std::sqrt(d);
    d = d > Real(kMinDistance) ? d : Real(kMinDistance);
    p[k] = d < Real(kMaxSquaredDistance) ? d : Real(kMaxSquaredDistance);
    if (m.present[k] && p[k] < nearest) nearest = p[k];
  }
  Real sum = Real(0);
  for (int k = 0; k < m.classes; ++k) sum += p[k] = m.present[k] ? nearest / p[k] : Real(0);
  for (int k = 0; k < m.classes; ++k) p[k] /= sum;
}

/// p[k] = p(true class k | x, annotated class y) for any finite x; y = -1: p(k | x). An annotation
/// that the model holds impossible (e = 0 and a class without a component) leaves p uniform.
/// Returns log p(x, y).
template <class Real>
AFFUSE_HD Real noise_aware_posterior(const NoiseAwareParams<Real>& m, Real v, Real a, int y,
                                     Real* p) {
  for (int k = 0; k < m.classes; ++k) {
    const Gaussian<Real>* g = m.gaussian + k * m.components;
    Real score[kMaxComponents];
    Real top = Real(kLogZero);
    for (int c = 0; c < m.components; ++c) {
      score[c] = log_density(g[c], v, a);
      top = score[c] > top ? score[c] : top;
    }
    Real sum = Real(0);
    for (int c = 0; c < m.components; ++c) sum += std::exp(score[c] - top);
    const Real log_p = top + std::log(sum) + (y < 0 ? Real(0) : m.log_t[y * m.classes + k]);
    p[k] = log_p > Real(kLogZero) ? log_p : Real(kLogZero);
  }
  return normalize_scores(p, m.classes);
}

/// Eq. 4: out = alpha onehot(label) + (1 - alpha) p_va, label in [0, classes). p_va == out is fine.
template <class Real>
AFFUSE_HD void fuse(Real alpha, int label, const Real* p_va, int classes, Real* out) {
  for (int k = 0; k < classes; ++k) {
    out[k] = (Real(1) - alpha) * p_va[k] + (k == label ? alpha : Real(0));
  }
}

/// Index of the largest of p[0, n); the first of equals.
template <class Real>
AFFUSE_HD int argmax(const Real* p, int n) {
  int best = 0;
  for (int k = 1; k < n; ++k) best = p[k] > p[best] ? k : best;
  return best;
}

}  // namespace affuse::math
