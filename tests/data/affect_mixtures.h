// Points from a mixture of three Gaussians a class, fitted to AffectNet-8's published histograms.
#pragma once
#include <array>
#include <cmath>

#include "data/label_model.h"
#include "engine/philox.h"

namespace affuse::test {

/// Weight, mean valence and arousal, their stds, correlation.
using MixtureRow = std::array<double, 6>;
inline constexpr std::array<std::array<MixtureRow, 3>, 8> kAffectMixtures{{
    {{{.543, .009, -.000, .038, .039, .22},
      {.324, -.037, -.134, .223, .181, .07},
      {.132, -.393, .194, .045, .061, .41}}},
    {{{.505, .799, .088, .080, .164, .12},
      {.397, .517, .076, .067, .086, -.11},
      {.097, .571, -.032, .182, .321, -.04}}},
    {{{.467, -.627, -.266, .135, .079, .57},
      {.341, -.827, -.266, .080, .099, -.45},
      {.192, -.324, -.219, .198, .269, -.64}}},
    {{{.642, .216, .620, .146, .132, .39},
      {.341, .129, .833, .178, .065, -.09},
      {.018, -.098, .445, .430, .278, .12}}},
    {{{.568, -.146, .802, .057, .060, -.09},
      {.414, -.090, .736, .042, .147, .16},
      {.017, -.293, .296, .305, .453, -.02}}},
    {{{.789, -.746, .454, .080, .058, .34},
      {.135, -.473, .343, .231, .172, .46},
      {.076, -.530, .685, .113, .047, -.60}}},
    {{{.548, -.357, .648, .117, .165, -.86},
      {.305, -.489, .476, .144, .233, .20},
      {.148, -.728, .452, .034, .036, -.04}}},
    {{{.605, -.628, .657, .047, .032, .01},
      {.266, -.402, .449, .082, .091, -.91},
      {.130, -.214, .517, .282, .180, -.09}}},
}};
inline constexpr std::array<double, 8> kAffectCounts{74874, 134415, 25459, 14090,
                                                     6378,  3803,   24882, 3750};

/// About n samples in AffectNet's class proportions.
inline Annotations draw_affect(std::size_t n, std::uint64_t seed) {
  Annotations data;
  double total = 0;
  for (const double count : kAffectCounts) total += count;
  Philox draw(seed, Purpose::test);
  for (std::size_t k = 0; k < 8; ++k) {
    const auto of_class = std::llround(kAffectCounts[k] / total * static_cast<double>(n));
    for (long long i = 0; i < of_class; ++i) {
      const double u = draw.uniform();
      const auto& rows = kAffectMixtures[k];
      const auto& m = u < rows[0][0] ? rows[0] : u < rows[0][0] + rows[1][0] ? rows[1] : rows[2];
      const double z1 = draw.normal(), z2 = draw.normal();
      data.labels.push_back(static_cast<int>(k));
      data.valence.push_back(m[1] + m[3] * z1);
      data.arousal.push_back(m[2] + m[4] * (m[5] * z1 + std::sqrt(1 - m[5] * m[5]) * z2));
    }
  }
  return data;
}

}  // namespace affuse::test
