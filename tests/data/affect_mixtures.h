// Points from a mixture of three Gaussians a class, fitted to AffectNet-8's published histograms.
#pragma once
#include <cmath>
#include <numeric>

#include "data/affectnet.h"
#include "data/label_model.h"
#include "engine/philox.h"

namespace affuse::test {

/// About n samples in AffectNet's class proportions.
inline Annotations draw_affect(std::size_t n, std::uint64_t seed) {
  Annotations data;
  const double total =
      std::accumulate(kAffectNetTrainCounts.begin(), kAffectNetTrainCounts.end(), 0.0);
  Philox draw(seed, Purpose::test);
  for (int k = 0; k < kAffectNetClasses; ++k) {
    const double share = kAffectNetTrainCounts[static_cast<std::size_t>(k)] / total;
    const auto rows = affectnet_va_mixture(k);
    const auto of_class = std::llround(share * static_cast<double>(n));
    for (long long i = 0; i < of_class; ++i) {
      const double u = draw.uniform();
      const VaGaussian& m = u < rows[0].weight                    ? rows[0]
                            : u < rows[0].weight + rows[1].weight ? rows[1]
                                                                  : rows[2];
      const double z1 = draw.normal(), z2 = draw.normal(), r = m.correlation;
      data.labels.push_back(k);
      data.valence.push_back(m.mean_v + m.std_v * z1);
      data.arousal.push_back(m.mean_a + m.std_a * (r * z1 + std::sqrt(1 - r * r) * z2));
    }
  }
  return data;
}

}  // namespace affuse::test
