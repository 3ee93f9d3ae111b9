// The seeded draw of the validation subjects.
#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {

SplitIndices split_by_subject(const std::vector<std::string>& subject_of_sample,
                              double val_fraction, std::uint64_t seed) {
  if (!(val_fraction > 0 && val_fraction < 1)) {
    throw DataError("the share of validation subjects must lie in (0, 1)");
  }
  std::vector<std::string> subjects = subject_of_sample;
  std::sort(subjects.begin(), subjects.end());
  subjects.erase(std::unique(subjects.begin(), subjects.end()), subjects.end());
  if (subjects.size() < 2) throw DataError("a split by subject needs at least 2 subjects");

  const double wanted = std::round(val_fraction * static_cast<double>(subjects.size()));
  const auto drawn =
      std::clamp<std::size_t>(static_cast<std::size_t>(wanted), 1, subjects.size() - 1);
  Philox random(seed, Purpose::split);
  for (std::size_t i = 0; i < drawn; ++i) {
    const auto left = static_cast<std::uint32_t>(subjects.size() - i);
    std::swap(subjects[i], subjects[i + random.below(left)]);
  }
  const std::unordered_set<std::string> validating(
      subjects.begin(), subjects.begin() + static_cast<std::ptrdiff_t>(drawn));

  SplitIndices split;
  for (std::size_t i = 0; i < subject_of_sample.size(); ++i) {
    (validating.contains(subject_of_sample[i]) ? split.val : split.train).push_back(i);
  }
  return split;
}

}  // namespace affuse
