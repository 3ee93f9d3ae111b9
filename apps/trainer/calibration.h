// How far class probabilities can be believed (Guo et al., ICML 2017), and temperature scaling.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace affuse {

/// Of N samples with probabilities [N, K]; confidence is the largest probability of a row.
struct CalibrationValues {
  double ece = 0;           ///< sum over bins of n_b / N |accuracy_b - confidence_b|
  double mce = 0;           ///< largest |accuracy_b - confidence_b| of the bins that hold a sample
  double adaptive_ece = 0;  ///< ECE over bins of equal mass
  double nll = 0;           ///< mean of -log p of the annotated class
  double brier = 0;         ///< sum over classes of (p - onehot)^2, mean over samples
};

/// What a temperature was fitted on.
enum class TemperatureFrom {
  predictions,  ///< the samples that are measured
  holdout,      ///< training samples that were kept from training (calibration.holdout)
  given,        ///< unknown; the user named it
};
constexpr auto choice_names(TemperatureFrom) {
  return std::to_array<std::string_view>({"predictions", "holdout", "given"});
}

struct Calibration {
  int bins = 15;
  CalibrationValues raw;
  double temperature = 1;
  TemperatureFrom temperature_from = TemperatureFrom::predictions;
  CalibrationValues scaled;  ///< of softmax(log p / temperature)
};

/// A bin of the reliability diagram, (b / B, (b + 1) / B].
struct ReliabilityBin {
  std::size_t count = 0;
  double accuracy = 0, confidence = 0;  ///< means; 0 for an empty bin
};

/// Equal-width right-closed bins; confidence 0 falls into the first.
std::vector<ReliabilityBin> reliability(std::span<const double> confidence,
                                        std::span<const char> correct, int bins);

/// Bins of equal mass: samples in order of confidence (equals in the order given), cut as
/// numpy.array_split does, so that the first N mod B bins hold one sample more. With fewer samples
/// than bins the last are empty.
std::vector<ReliabilityBin> adaptive_reliability(std::span<const double> confidence,
                                                 std::span<const char> correct, int bins);

/// All values; labels in [0, K), at least one sample. A probability of 0 counts as 2.2e-308 in NLL.
CalibrationValues measure_calibration(std::span<const double> probabilities, int classes,
                                      std::span<const int> labels, int bins = 15);

/// log p, with 0 as log 2.2e-308: logits for fit_temperature.
std::vector<double> log_probabilities(std::span<const double> probabilities);

inline constexpr double kMinTemperature = 0.01, kMaxTemperature = 100;

/// T in [0.01, 100] with the least mean NLL of softmax(logits / T): NLL is convex in 1 / T, so
/// Newton's method inside a bisection bracket finds it to 1e-12. The end of the range where the
/// optimum lies beyond it; 1 without samples and for constant NLL. logits [N, K], labels in [0, K).
double fit_temperature(std::span<const double> logits, int classes, std::span<const int> labels);

/// The same for soft labels [N, K]: the least mean of -sum_k q_k log softmax(logits / T)_k. Rows of
/// q are scaled to sum to 1; none may be zero.
double fit_temperature_soft(std::span<const double> logits, int classes, std::span<const double> q);

/// The same for labels of which some are wrong: the least mean of -log sum_k A(y | k)
/// softmax(logits / T)_k ("forward correction", Patrini et al., CVPR 2017), with `transition`
/// A(y | k) at [y * K + k], the chance that class k is annotated as y. It need not be convex: a
/// grid over log T finds the valley, golden-section search its bottom, to 1e-9.
double fit_temperature_corrected(std::span<const double> logits, int classes,
                                 std::span<const int> labels, std::span<const double> transition);

/// softmax(logits / temperature), [N, K].
std::vector<double> scaled_softmax(std::span<const double> logits, int classes, double temperature);

}  // namespace affuse
