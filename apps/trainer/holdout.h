// Training samples that are kept from training and fit the temperature.
#pragma once
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "apps/trainer/dataset.h"
#include "data/sample.h"
#include "layers/model.h"

namespace affuse {

/// Empty where calibration.holdout is 0.
struct Holdout {
  using Target = Config::Calibration::Target;
  Manifest manifest;                  ///< annotated classes as after the configured noise
  Target target = Target::annotated;  ///< never automatic
  std::vector<double> fused;          ///< [N, K] training labels (target fused)
  std::vector<double> transition;     ///< [K, K], A(y | k) at y * K + k (target corrected)
  double wrong = 0;                   ///< share of annotations estimated to be wrong (corrected)

  bool empty() const { return manifest.samples.empty(); }
  std::size_t with_class() const;
};

/// Takes the held-out samples out of `train` and out of `labels.noisy`; a pure function of the
/// configuration and the annotations. Label model and class weights stay as they were fitted, on
/// all annotations. Throws ConfigError where no sample can be taken, and where the correction needs
/// valence and arousal that nobody annotated.
Holdout take_holdout(const Config& config, Split& train, TrainingLabels& labels);

/// Evaluates the weights of one of `ranks` processes on the held-out samples, writes the
/// predictions to `predictions_file` and returns the temperature that fits them best; warns where
/// it lies at the end of its range.
double fit_on_holdout(const Config& config, const Holdout& holdout, Model& model, WeightSet set,
                      int ranks, const std::string& predictions_file);

}  // namespace affuse
