// Seeded splits: no subject stands on both sides.
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

/// Takes about round(share * N) of the N samples with a class (label >= 0) out of a training set,
/// as `val`; a pure function of its arguments. Without subjects: of each class its part, to within
/// one sample. Where a sample names a subject: whole subjects (samples without one each alone),
/// with their samples of no class, as long as they come nearer to that number; a function of the
/// set of subjects, not of their order. Every class that has a sample keeps one in `train`, so
/// `val` can be smaller, even empty. share in [0, 0.5].
SplitIndices split_holdout(const std::vector<int>& labels,
                           const std::vector<std::string>& subject_of_sample, double share,
                           std::uint64_t seed);

}  // namespace affuse
