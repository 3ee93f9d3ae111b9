// Synthetic label noise: three ways to flip annotated classes.
#include "data/label_noise.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {
namespace {

// Streams of one seed, so that which samples flip does not depend on what they flip to.
enum Stream : std::uint32_t { kWhich = 0, kWhere = 1 };

/// A uniformly drawn class other than `label`, a function of (seed, sample).
int other_class(int label, int classes, std::uint64_t seed, std::size_t sample) {
  Philox draw(seed, Purpose::noise, kWhere, static_cast<std::uint32_t>(sample));
  const int drawn = static_cast<int>(draw.below(static_cast<std::uint32_t>(classes - 1)));
  return drawn < label ? drawn : drawn + 1;
}

}  // namespace

NoiseMode noise_mode_of(std::string_view name) {
  if (name == "exact_other") return NoiseMode::exact_other;
  if (name == "bernoulli_other") return NoiseMode::bernoulli_other;
  if (name == "author") return NoiseMode::author;
  throw ConfigError(fmt::format(
      "noise.mode: unknown mode '{}'; one of exact_other, bernoulli_other, author", name));
}

std::vector<int> flip_labels(const std::vector<int>& labels, int classes,
                             const LabelNoiseOptions& options) {
  if (!(options.rate >= 0 && options.rate <= 1)) {
    throw ConfigError(fmt::format("noise.rate: {} is not in [0, 1]", options.rate));
  }
  if (options.rate > 0 && classes < 2) {
    throw ConfigError("noise.rate: labels of a single class cannot be flipped; set it to 0");
  }
  std::vector<std::size_t> valid;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0) valid.push_back(i);
  }
  std::vector<int> out = labels;
  if (valid.empty() || options.rate == 0) return out;
  const auto n = static_cast<std::uint32_t>(valid.size());
  const auto draws =
      static_cast<std::uint32_t>(std::llround(options.rate * static_cast<double>(n)));
  Philox which(options.seed, Purpose::noise, kWhich);
  switch (options.mode) {
    case NoiseMode::exact_other:  // the head of a Fisher-Yates shuffle
      for (std::uint32_t d = 0; d < draws; ++d) {
        std::swap(valid[d], valid[d + which.below(n - d)]);
        out[valid[d]] = other_class(labels[valid[d]], classes, options.seed, valid[d]);
      }
      break;
    case NoiseMode::bernoulli_other:
      for (const std::size_t i : valid) {
        if (which.uniform() >= options.rate) continue;
        out[i] = other_class(labels[i], classes, options.seed, i);
      }
      break;
    case NoiseMode::author:
      for (std::uint32_t d = 0; d < draws; ++d) {
        const std::size_t i = valid[which.below(n)];
        out[i] = static_cast<int>(which.below(static_cast<std::uint32_t>(classes)));
      }
      break;
  }
  return out;
}

}  // namespace affuse
