// `affuse predict`: class probabilities, valence and arousal of images.
#pragma once
#include <string>
#include <vector>

namespace affuse {

struct PredictOptions {
  std::string weights;              ///< .safetensors
  std::vector<std::string> inputs;  ///< images, folders, CSV files with a column `path`
  std::string features;             ///< .npy to write the 512-d features to; empty: none
  bool calibrated = false;          ///< scale by the weights' temperature
  bool json = false;
  bool quiet = false;
};

/// Returns the exit status; failures are thrown.
int run_predict(const PredictOptions& options);

}  // namespace affuse
