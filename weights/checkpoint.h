// A training checkpoint: a safetensors file that proves itself by a checksum, and its predecessor.
#pragma once
#include <string>

#include "weights/state_dict.h"

namespace affuse {

/// Everything that a run needs to go on: parameters, moments and averages as float tensors,
/// counters as integer tensors, the rest as strings (JSON text) in the metadata.
using Checkpoint = Weights;

/// The metadata key of the checksum: CRC-32C as 8 hex digits of the canonical header (with
/// "00000000" in this place) followed by the bytes of all tensors. Reserved.
inline constexpr const char* checksum_key = "crc32c";

/// Writes `path` atomically and keeps the one before as `prev_path`. Throws WeightsError, Error.
void write_checkpoint(const std::string& path, const std::string& prev_path,
                      const Checkpoint& checkpoint);

/// Reads one file and verifies its checksum. Throws WeightsError.
Checkpoint read_checkpoint(const std::string& path);

/// Reads `last`; if it is missing or damaged, `prev` with a warning in the log. Throws WeightsError
/// with both reasons if neither can be used.
Checkpoint read_checkpoint(const std::string& last, const std::string& prev);

}  // namespace affuse
