// Beta(a, a) as X / (X + Y) of two Gamma(a) draws, in logarithms, as X itself may be below the
// smallest double for a small a.
#include "data/mixup_draw.h"

#include <cmath>

#include "engine/philox.h"

namespace affuse {
namespace {

/// Uniform in (0, 1]: has a logarithm.
double positive_uniform(Philox& random) { return 1 - random.uniform(); }

/// Gamma(shape, 1) by Marsaglia and Tsang (ACM TOMS 26, 2000); shape >= 1. More than 95 % of the
/// tries succeed; the mode-like d after the last one is for the proof that the loop ends.
double draw_gamma(double shape, Philox& random) {
  constexpr int kTries = 100;
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (int i = 0; i < kTries; ++i) {
    const double x = random.normal(), t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t;
    if (std::log(positive_uniform(random)) < 0.5 * x * x + d - d * v + d * std::log(v))
      return d * v;
  }
  return d;
}

}  // namespace

float draw_mixup(double a, std::uint64_t seed, std::uint32_t epoch, std::uint32_t step) {
  if (a <= 0) return 1;
  Philox random(seed, Purpose::mixup, epoch, step);
  // Gamma(a) is Gamma(a + 1) U^(1/a), for every a > 0.
  const double x = draw_gamma(a + 1, random), u = positive_uniform(random);
  const double y = draw_gamma(a + 1, random), v = positive_uniform(random);
  const double log_ratio = std::log(y) - std::log(x) + (std::log(v) - std::log(u)) / a;
  return static_cast<float>(1 / (1 + std::exp(log_ratio)));
}

}  // namespace affuse
