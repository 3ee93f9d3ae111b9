// The label model: class distributions from valence and arousal (Eq. 1-4), fitted once, in double
// precision, on the training annotations.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sample.h"
#include "kernels/math/posterior.h"

namespace affuse {

enum class LabelKind { gmm, euclid, noise_aware, onehot, given };
enum class ClassPrior { empirical, uniform };
enum class NoiseMatrix { symmetric, full };

std::string_view name_of(LabelKind kind);
std::string_view name_of(NoiseMatrix matrix);
/// The kind of that name; throws ConfigError listing the names.
LabelKind label_kind_of(std::string_view name);

/// Config section `label_model`.
struct LabelModelOptions {
  LabelKind kind = LabelKind::gmm;
  ClassPrior prior = ClassPrior::empirical;
  std::optional<double> trim = 1.0;  ///< keep points within this many stds (> 0); nullopt: all
  int euclid_power = 2;              ///< 2: squared distance (Eq. 3), 1: distance
  int components = 3;                ///< Gaussians a class of the noise-aware mixture, 1-8
  NoiseMatrix noise = NoiseMatrix::symmetric;
  std::uint64_t seed = 0;    ///< of the noise-aware mixture's start
  int max_rounds = 200;      ///< of EM
  double tolerance = 1e-6;   ///< EM stops at a smaller relative gain of the log likelihood
  bool noise_aware = false;  ///< fit the noise-aware mixture whatever the kind
};

/// 0.5 (Eq. 4), and 0 for noise_aware, whose posterior has seen the annotated class already.
double default_alpha(LabelKind kind);

/// A point of the VA plane, and a symmetric 2x2 matrix.
struct Point {
  double v = 0, a = 0;
};
struct Covariance {
  double vv = 0, va = 0, aa = 0;
};

/// One Gaussian of the noise-aware mixture; the weights of all classes' components sum to 1.
struct MixtureComponent {
  double weight = 0;
  Point mu;
  Covariance sigma;
};

/// A fitted noise-aware mixture.
struct NoiseAwareMixture {
  int components = 0;                          ///< per class; 0: not fitted
  std::vector<MixtureComponent> gaussians;     ///< [class * components + component]
  NoiseMatrix noise = NoiseMatrix::symmetric;  ///< shape of T
  double e = 0;                                ///< share of annotations estimated to be wrong
  std::vector<double> transition;              ///< T(y | k) at [y * K + k], columns sum to 1
  int rounds = 0;                              ///< of EM
  double log_likelihood = 0;                   ///< mean over the samples, of these parameters
  double gain = 0;                             ///< relative gain of the last round
  std::string reason;                          ///< why EM stopped: "converged" | "max_rounds"
};

/// A fitted label model of K classes; all vectors have K entries.
struct LabelModel {
  LabelModelOptions options;
  std::vector<std::size_t> counts;  ///< samples annotated with the class, N_k of Eq. 5
  std::vector<double> weights;      ///< Eq. 5; 0 for a class without a sample
  std::vector<double> pi;  ///< prior that the posterior uses; 0 for a class without a point
  std::vector<Point> mu;
  std::vector<Covariance> sigma;  ///< zero for a class without a point
  std::vector<std::size_t> kept;  ///< points that mu and sigma stand on
  NoiseAwareMixture noise_aware;
  std::vector<std::string> warnings;  ///< one line each; also sent to the log

  int classes() const { return static_cast<int>(pi.size()); }
  math::GmmParams<double> gmm_params() const;
  math::EuclidParams<double> euclid_params() const;
  /// Throws Error when the mixture was not fitted.
  math::NoiseAwareParams<double> noise_aware_params() const;
};

/// The annotations of a set, one entry a sample. Absent: label -1, valence or arousal NaN.
struct Annotations {
  std::vector<int> labels;
  std::vector<double> valence, arousal;
  std::vector<std::vector<float>>
      soft;  ///< given distributions; empty, or one (maybe empty) a sample

  std::size_t size() const { return labels.size(); }
  bool has_va(std::size_t i) const {
    return std::isfinite(valence[i]) && std::isfinite(arousal[i]);
  }
};
Annotations annotations_of(const Manifest& manifest);

/// Fits counts, weights, pi, mu, sigma and, where asked for, the noise-aware mixture. `names`
/// (empty: numbers) stand in the messages. Throws ConfigError for options out of range and more
/// than 32 classes; DataError for a label >= classes, and where no sample has both class and VA
/// although the kind needs a model of the VA plane.
LabelModel fit_label_model(const Annotations& data, int classes, const LabelModelOptions& options,
                           const std::vector<std::string>& names = {});

/// Eq. 5: W_k = max_j N_j / N_k; 0 for a class without a sample.
std::vector<double> class_weights(std::span<const std::size_t> counts);
/// N_k of labels in [0, classes); -1 is skipped.
std::vector<std::size_t> count_classes(std::span<const int> labels, int classes);

/// p(y | x)_VA under one kind (onehot: the GMM's), for one sample after the other.
class LabelPosterior {
 public:
  LabelPosterior(const LabelModel& model, LabelKind kind);
  /// The distribution of sample i; empty where it has no valid VA (kind given: no distribution), or
  /// where the model stands on no point. Throws DataError for a given one of another size.
  std::vector<double> operator()(const Annotations& data, std::size_t i) const;

 private:
  LabelKind kind_;
  std::size_t classes_;
  bool knows_va_;
  math::GmmParams<double> gmm_;
  math::EuclidParams<double> euclid_;
  math::NoiseAwareParams<double> noise_aware_;
};

/// The training labels of a set.
struct SoftLabels {
  int classes = 0;
  std::vector<double> p;  ///< [N, K]; a row of zeros where there is neither class nor VA
  std::vector<int>
      labels;  ///< class for weights and measures: annotated, else argmax of p_VA, else -1
};

/// Eq. 4 for every sample: fused where there are class and VA; one-hot without VA; p_VA alone
/// without a class (kind onehot: the one-hot of the GMM's argmax, as the paper does for Aff-Wild).
/// Then label smoothing: `smoothing` is the share of the uniform distribution in every row with a
/// label. alpha in [0, 1] and smoothing in [0, 1), else ConfigError.
SoftLabels soft_labels(const LabelModel& model, const Annotations& data, double alpha,
                       double smoothing = 0);

}  // namespace affuse
