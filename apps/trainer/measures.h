// The measures of a set of predictions: classification, valence and arousal, calibration.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/trainer/calibration.h"
#include "nlohmann/json.hpp"

namespace affuse {

/// A row of probabilities may miss a sum of 1 by this much: three printed digits still pass.
inline constexpr double kProbabilitySumTolerance = 0.01;

/// Predictions beside annotations, one entry a sample. Absent annotations: label -1, NaN.
struct Predictions {
  int classes = 0;                                 ///< K
  std::vector<int> labels;                         ///< [N] annotated class in [-1, K)
  std::vector<double> probabilities;               ///< [N, K]; empty, or a row of NaN: none
  std::vector<double> valence, arousal;            ///< [N] annotated
  std::vector<double> pred_valence, pred_arousal;  ///< [N]; empty or NaN: none

  std::size_t size() const { return labels.size(); }
};

struct ClassMeasures {
  double precision = 0, recall = 0, f1 = 0;  ///< 0 where the denominator is 0 (sklearn's default)
  std::size_t support = 0;                   ///< samples annotated with the class
};

struct Classification {
  double accuracy = 0;
  double macro_f1 =
      0;  ///< mean over all K classes; one that is neither annotated nor predicted is 0
  std::vector<ClassMeasures> per_class;             ///< [K]
  std::vector<std::vector<std::size_t>> confusion;  ///< [annotated][predicted]
};

/// Of one VA axis, with population moments over the whole set.
struct Regression {
  double rmse = 0;
  double ccc = 0;             ///< 2 cov / (var + var' + (mean - mean')^2); 1 for equal constants
  double pearson = 0;         ///< 0 where an axis is constant
  double sign_agreement = 0;  ///< share of samples with (annotated >= 0) == (predicted >= 0)
};

/// Sections without data are absent.
struct Measures {
  std::size_t n = 0;
  std::optional<Classification> classification;
  std::optional<Regression> valence, arousal;
  std::optional<Calibration> calibration;
};

struct MeasureOptions {
  int bins = 15;
  /// nullopt: fitted on these predictions.
  std::optional<double> temperature;
  TemperatureFrom temperature_from = TemperatureFrom::given;  ///< of `temperature`, where set
};

/// Measures what there is to measure: classes on the samples with a class and probabilities, each
/// VA axis on the samples with annotation and prediction. The predicted class is the argmax, the
/// first of equals. Throws DataError for sizes that do not fit, a label >= K, and probabilities
/// that are negative or do not sum to 1 within 0.01.
Measures compute_measures(const Predictions& predictions, const MeasureOptions& options = {});

Classification measure_classes(std::span<const int> labels, std::span<const int> predicted,
                               int classes);
/// `annotated` and `predicted` may not be empty.
Regression measure_axis(std::span<const double> annotated, std::span<const double> predicted);

/// A class in JSON: its name, or the number of an unnamed class ("0".."K-1" in order).
nlohmann::ordered_json class_json(const std::vector<std::string>& classes, std::size_t k);

/// The JSON of `affuse metrics --json`, schema 1; `classes` has K names or is empty.
nlohmann::ordered_json to_json(const Measures& measures,
                               const std::vector<std::string>& classes = {});

/// The same as a table for people, with a line break at the end.
std::string to_text(const Measures& measures, const std::vector<std::string>& classes = {});

}  // namespace affuse
