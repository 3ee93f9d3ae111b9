// Synthetic label noise (Section 5.1 of the paper): annotated classes are flipped, seeded.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace affuse {

enum class NoiseMode {
  exact_other,      ///< exactly round(rate * N) samples, each to a uniform other class
  bernoulli_other,  ///< each sample with probability `rate`, to a uniform other class
  author,  ///< the author's code: round(rate * N) draws with replacement, own class included
};

/// Config section `noise`.
struct LabelNoiseOptions {
  double rate = 0;  ///< in [0, 1]
  NoiseMode mode = NoiseMode::exact_other;
  std::uint64_t seed = 0;
};

/// The mode of that name; throws ConfigError listing the names.
NoiseMode noise_mode_of(std::string_view name);

/// Labels in [0, classes) after the noise; -1 (no class) stays and does not count in N. A pure
/// function of its arguments. Throws ConfigError: rate outside [0, 1], or fewer than two classes
/// at a rate above 0.
std::vector<int> flip_labels(const std::vector<int>& labels, int classes,
                             const LabelNoiseOptions& options);

}  // namespace affuse
