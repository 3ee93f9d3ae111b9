// What is published about AffectNet: class names, counts, and how valence and arousal (VA) lie in
// each class. Order of classes everywhere: AffectNet's own, 0 Neutral to 7 Contempt.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace affuse {

inline constexpr int kAffectNetClasses = 8;

inline constexpr std::array<std::string_view, kAffectNetClasses> kAffectNetNames = {
    "Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"};

/// Faces a class in the training set of the 8-class release of 2021; 287,651 together.
inline constexpr std::array<int, kAffectNetClasses> kAffectNetTrainCounts = {
    74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750};

/// The class names as strings, for Manifest::classes.
std::vector<std::string> affectnet_class_names();

/// A point of the circumplex: both in [-1, 1], inside the unit disc.
struct Va {
  double valence = 0;
  double arousal = 0;
};

/// A Gaussian over (valence, arousal) with a weight.
struct VaGaussian {
  double weight, mean_v, mean_a, std_v, std_a, correlation;
};

/// Moments of a class's annotations, and of those within one standard deviation of its mean.
struct VaMoments {
  double mean_v, mean_a, std_v, std_a, correlation;
  double core_mean_v, core_mean_a, core_std_v, core_std_a;
};

/// Moments of AffectNet-8's training annotations. `label` in 0..7, else Error.
const VaMoments& affectnet_va_moments(int label);

/// Three Gaussians fitted to the published VA histogram of the class. `label` in 0..7, else Error.
std::span<const VaGaussian, 3> affectnet_va_mixture(int label);

/// Density of a mixture at a point; weights are used as they stand.
double va_density(std::span<const VaGaussian> mixture, Va at);

}  // namespace affuse
