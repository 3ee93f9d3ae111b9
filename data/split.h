// Splits by subject: no subject stands on both sides.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace affuse {

/// Sample indices of the two sides, each ascending.
struct SplitIndices {
  std::vector<std::size_t> train;
  std::vector<std::size_t> val;
};

/// Draws round(val_fraction * S) of the S subjects (at least 1, at most S - 1) for validation; a
/// function of the set of subjects and the seed only, whatever the order of the samples.
/// Throws DataError for fewer than 2 subjects or a val_fraction outside (0, 1).
SplitIndices split_by_subject(const std::vector<std::string>& subject_of_sample,
                              double val_fraction, std::uint64_t seed);

}  // namespace affuse
