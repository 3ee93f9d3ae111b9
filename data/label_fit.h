// The parts of fit_label_model: moments of the classes' points, and EM for the noise-aware mixture.
#pragma once
#include <span>
#include <vector>

#include "data/label_model.h"

namespace affuse {

/// Mean and population covariance of points; needs one point at least.
struct Moments {
  Point mu;
  Covariance sigma;
};
Moments moments_of(std::span<const Point> points);

/// The points strictly within `stds` standard deviations of their mean on both axes.
std::vector<Point> trim_points(std::span<const Point> points, double stds);

/// Sigma, or with max(1e-6 trace / 2, 1e-8) on its diagonal where it is not positive definite. A
/// correlation within 5e-13 of 1 counts as that: its determinant is rounding.
Covariance with_ridge(const Covariance& sigma);

/// A point of the fit with its annotated class.
struct LabelledPoint {
  Point x;
  int label = 0;
};

/// Where EM starts for a class.
struct MixtureStart {
  double pi = 0;     ///< share of the points annotated with the class; 0 keeps it out
  Moments trimmed;   ///< its components' means are this mean plus half a std times a normal draw
  Covariance whole;  ///< covariance of all its points: a trimmed one ends in worse optima
};

/// EM (Dempster et al. 1977) for p(x, y) = sum_k T(y|k) sum_c w_kc N(x | mu_kc, Sigma_kc), from
/// e = 0.2 and equal weights within a class. Points may not be empty.
NoiseAwareMixture fit_noise_aware(std::span<const LabelledPoint> points,
                                  std::span<const MixtureStart> start,
                                  const LabelModelOptions& options);

}  // namespace affuse
