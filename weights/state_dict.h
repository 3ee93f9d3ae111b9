// A model's tensors by torchvision's names, in memory, and whether they fit a model.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/safetensors.h"

namespace affuse {

/// A tensor in public (row-major) order: `values`, or `integers` where `is_integer` (as
/// num_batches_tracked is). The other vector is empty.
struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  std::vector<std::int64_t> integers;
  bool is_integer = false;

  bool operator==(const Tensor&) const = default;
};

using StateDict = std::map<std::string, Tensor>;

/// What a weights file holds.
struct Weights {
  StateDict tensors;
  Metadata metadata;
};

/// Floating-point tensors become float, integers int64. Throws WeightsError as SafetensorsFile.
StateDict to_state_dict(const SafetensorsFile& file);

/// The tensors as entries that borrow from `tensors`: F32 and I64. Throws WeightsError where a
/// shape and the number of elements disagree (when written).
std::vector<SafetensorsEntry> to_entries(const StateDict& tensors);

Weights read_weights(const std::string& path);

/// Writes atomically; with `keep` an existing file gets that name. Throws WeightsError, Error.
void write_weights(const std::string& path, const Weights& weights, const std::string& keep = {});

/// Names and shapes that a model has.
using ExpectedShapes = std::map<std::string, std::vector<std::int64_t>>;

/// How a state dict differs from a model. `num_batches_tracked` may be missing or left over:
/// nothing is computed from it.
struct Mismatch {
  std::vector<std::string> missing, unexpected;
  std::vector<std::string> wrong_shape;  ///< "conv1.weight is [64,3,7,7], the model has [64,3,3,3]"

  bool empty() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
  /// One line: counts and the first three of each kind.
  std::string text() const;
};

Mismatch compare(const StateDict& tensors, const ExpectedShapes& expected);

/// Throws WeightsError `FILE: does not fit the model: ...` unless names and shapes agree.
void check_state_dict(const StateDict& tensors, const ExpectedShapes& expected,
                      const std::string& file);

}  // namespace affuse
