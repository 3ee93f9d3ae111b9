// The rows of a csv manifest with the side and the line of each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/sample.h"

namespace affuse {

enum class Side : std::uint8_t { train, val, test };

struct ManifestRows {
  Manifest manifest;
  std::vector<Side> sides;         ///< one a sample; empty without a split column
  std::vector<std::size_t> lines;  ///< file line of each sample
  bool has_subjects = false;       ///< there is a subject column (its cells may be empty)
};

/// Reads a csv manifest. `classes` and `root` as in read_csv_manifest. Throws DataError naming
/// file, line and column.
ManifestRows read_manifest_rows(const std::string& path, std::vector<std::string> classes,
                                std::string root);

}  // namespace affuse
