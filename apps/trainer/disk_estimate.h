// How much a training writes, and how much the disk has left.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "apps/config/config.h"
#include "data/sample.h"
#include "kernels/graph.h"

namespace affuse {

/// Bytes of a run folder at its fullest, with the temporary file that a new checkpoint is.
struct DiskNeed {
  std::uint64_t checkpoints = 0;  ///< last, prev and the next one while it is written
  std::uint64_t weights = 0;      ///< best, swa and those that output.keep keeps
  std::uint64_t tables = 0;       ///< CSV files, run.log, configuration and labels

  std::uint64_t total() const { return checkpoints + weights + tables; }
};

/// What a new run from here to its last epoch writes. `graph`: the training's. Tensors are exact,
/// tables an estimate of some percent from above.
DiskNeed disk_need(const Config& config, const Graph& graph, const Manifest& train,
                   const Manifest& val);

/// Bytes of a synthetic set on disk: a JPEG image and three annotation files a face.
std::uint64_t synthetic_disk_bytes(const Config::Data::Synthetic& faces);

/// Bytes that this user may still write where `path` lies or would lie; nullopt where the system
/// does not tell.
std::optional<std::uint64_t> free_disk_bytes(const std::string& path);

/// Warns in the log where a run folder's disk has less free space than what is still to be written.
void warn_of_a_small_disk(const DiskNeed& need, const std::string& folder);

}  // namespace affuse
