// A model's numbers in and out of files, under torchvision's names.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "data/label_model.h"
#include "layers/model.h"
#include "weights/state_dict.h"

namespace affuse {

/// Everything beside the numbers that a prediction needs; stands in a weights file's metadata.
struct ModelCard {
  std::vector<std::string> classes;
  NetworkSpec network;
  std::string label_model;            ///< labels.json of the training, or empty
  std::optional<double> temperature;  ///< fitted on held-out training samples

  Metadata metadata() const;
};

/// Reads the card of a weights file. Throws WeightsError naming the file and the missing key.
ModelCard read_card(const Metadata& metadata, const std::string& file);

/// The network that a configuration describes.
NetworkSpec network_spec(const Config& config, int classes);

/// Weights and running statistics of one set, with num_batches_tracked beside each batch norm.
StateDict state_dict(const Parameters& parameters, WeightSet set, std::int64_t batches);

/// Loads a set that must fit: names and shapes. A checkpoint's moments and average are passed over.
/// Throws WeightsError naming `file`.
void load_state_dict(Parameters& parameters, StateDict tensors, const std::string& file);

/// Loads a start for training (model.init): the heads only where the file has them; torchvision's
/// own `fc` is left out. Returns one line that says what was taken.
std::string load_start(Parameters& parameters, const std::string& path);

}  // namespace affuse
