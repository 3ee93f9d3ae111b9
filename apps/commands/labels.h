// `affuse labels`: fits the label model on a manifest and writes labels.json and labels.csv.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "data/label_model.h"
#include "nlohmann/json.hpp"

namespace affuse {

struct LabelsOptions {
  std::string manifest_csv;
  int classes = 0;                       ///< K; 0: from class_names, else one above the largest
  std::vector<std::string> class_names;  ///< in order; empty: the numbers 0..K-1
  LabelModelOptions model;
  std::optional<double> alpha;  ///< Eq. 4; nullopt: default_alpha(kind)
  std::string out_dir;          ///< made if missing; empty: nothing is written
};

/// Reads the manifest (never an image), fits, writes the two files and returns a summary for
/// people.
std::string run_labels(const LabelsOptions& options);

/// The same on the training half of a configuration's data set, after its label noise: p_fused is
/// what training with that configuration uses. No image is read.
std::string run_labels(const Config& config, const std::string& out_dir);

/// labels.json, schema 1, as text. `alpha` is the one that labels.csv was written with.
std::string labels_json(const LabelModel& model, const std::vector<std::string>& classes,
                        double alpha);

/// A label model as it was written to labels.json, with its class names.
struct StoredLabelModel {
  LabelModel model;
  std::vector<std::string> classes;
};
/// Parses labels.json (label_model.from). `name` stands in the error. Throws DataError.
StoredLabelModel parse_labels_json(const std::string& text, const std::string& name);

/// Writes labels.csv: path,class,valence,arousal, then p_gmm_k, p_euclid_k, p_noise_aware_k (where
/// it was fitted) and p_fused_k in shortest round-trip digits; an undefined value is empty. `data`
/// are the annotations that training sees (after label noise), one a sample of the manifest.
/// `smoothing`: of p_fused, see soft_labels.
void write_labels_csv(const std::string& path, const Manifest& manifest, const Annotations& data,
                      const LabelModel& model, double alpha, double smoothing = 0);

/// The fitted model as a table for people.
std::string labels_summary(const LabelModel& model, const std::vector<std::string>& classes,
                           double alpha);

}  // namespace affuse
