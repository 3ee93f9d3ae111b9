// `affuse metrics`: the measures of a predictions file.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "apps/trainer/measures.h"

namespace affuse {

struct MetricsOptions {
  std::string predictions_csv;
  int classes = 0;                       ///< K; 0: the number of columns p_k
  std::vector<std::string> class_names;  ///< in order; empty: the numbers 0..K-1
  int bins = 15;
  std::optional<double> temperature;  ///< > 0; nullopt: the one that fits these predictions best
  bool json = false;
  std::string out_file;  ///< also written here; empty: nowhere
};

/// Reads predictions and returns what goes to stdout: JSON (schema 1) or a table for people.
std::string run_metrics(const MetricsOptions& options);

/// Reads path,class,valence,arousal,p_0..p_{K-1},pred_valence,pred_arousal; columns may be missing,
/// cells empty (all p_k of a row or none). `class_names` as in MetricsOptions; `classes` 0: from
/// the columns. Throws DataError naming file, line and column.
Predictions read_predictions(const std::string& path, int classes = 0,
                             const std::vector<std::string>& class_names = {});

}  // namespace affuse
