// Adam and AdamW as torch.optim defines them, and the running mean of SWA; one element.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/host_device.h"

namespace affuse::math {

struct AdamSettings {
  double lr = 2.5e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient (Adam) or, decoupled, lr times it taken off w
  bool decoupled = false;   ///< AdamW
};

/// What one step needs, derived in double: 1 - 0.999 in float would be off by 4e-5 of itself.
template <class Real>
struct AdamFactors {
  Real beta1, rest1;  ///< rest = 1 - beta
  Real beta2, rest2;
  Real eps;
  Real step_size;        ///< lr / (1 - beta1^step)
  Real root_correction;  ///< sqrt(1 - beta2^step)
  Real gradient_decay;   ///< gradient += gradient_decay w
  Real keep;             ///< w *= keep before the step
  Real gradient_scale;   ///< gradient *= gradient_scale first (the inverse of a loss scale)
};

/// Factors of step number `step`, counted from 1; decay false leaves the weight decay out.
template <class Real>
AFFUSE_HD AdamFactors<Real> adam_factors(const AdamSettings& s, std::int64_t step,
                                         double gradient_scale = 1, bool decay = true) {
  const double wd = decay ? s.weight_decay : 0;
  const double t = static_cast<double>(step);
  return {Real(s.beta1),
          Real(1 - s.beta1),
          Real(s.beta2),
          Real(1 - s.beta2),
          Real(s.eps),
          Real(s.lr / (1 - std::pow(s.beta1, t))),
          Real(std::sqrt(1 - std::pow(s.beta2, t))),
          Real(s.decoupled ? 0 : wd),
          Real(s.decoupled ? 1 - s.lr * wd : 1),
          Real(gradient_scale)};
}

/// w -= step_size m / (sqrt(v) / sqrt(1 - beta2^step) + eps), after updating both moments.
template <class Real>
AFFUSE_HD void adam(const AdamFactors<Real>& f, Real gradient, Real& w, Real& m, Real& v) {
  const Real g = gradient * f.gradient_scale + f.gradient_decay * w;
  m = m * f.beta1 + g * f.rest1;
  v = v * f.beta2 + g * g * f.rest2;
  w = w * f.keep - f.step_size * (m / (std::sqrt(v) / f.root_correction + f.eps));
}

/// torch.optim.swa_utils: the mean of count + 1 weights from that of `count`. The first is copied,
/// whatever stood in the mean before.
template <class Real>
AFFUSE_HD Real running_mean(Real mean, Real w, std::int64_t count) {
  return count == 0 ? w : mean + (w - mean) / Real(count + 1);
}

}  // namespace affuse::math
