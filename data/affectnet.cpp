// The published tables of AffectNet-8.
#include "data/affectnet.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse {
namespace {

constexpr std::array<VaMoments, kAffectNetClasses> kMoments = {{
    {-.059, -.018, .186, .149, -.30, .001, -.004, .051, .047},
    {.665, .071, .163, .166, .08, .644, .072, .109, .082},
    {-.637, -.257, .222, .143, -.07, -.680, -.272, .120, .068},
    {.181, .689, .175, .158, .06, .204, .691, .088, .089},
    {-.126, .766, .072, .137, .07, -.125, .783, .039, .060},
    {-.693, .458, .153, .112, .17, -.723, .464, .064, .046},
    {-.453, .567, .175, .199, .08, -.422, .632, .088, .113},
    {-.515, .584, .190, .124, -.59, -.588, .625, .087, .068},
}};

constexpr std::array<std::array<VaGaussian, 3>, kAffectNetClasses> kMixtures = {{
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

std::size_t checked(int label) {
  if (label < 0 || label >= kAffectNetClasses)
    throw Error(fmt::format("class {} is outside AffectNet's 0..{}", label, kAffectNetClasses - 1));
  return static_cast<std::size_t>(label);
}

}  // namespace

std::vector<std::string> affectnet_class_names() {
  return {kAffectNetNames.begin(), kAffectNetNames.end()};
}

const VaMoments& affectnet_va_moments(int label) { return kMoments[checked(label)]; }

std::span<const VaGaussian, 3> affectnet_va_mixture(int label) { return kMixtures[checked(label)]; }

double va_density(std::span<const VaGaussian> mixture, Va at) {
  double density = 0;
  for (const VaGaussian& g : mixture) {
    const double x = (at.valence - g.mean_v) / g.std_v, y = (at.arousal - g.mean_a) / g.std_a;
    const double r = g.correlation, free = 1 - r * r;
    density += g.weight * std::exp(-.5 * (x * x - 2 * r * x * y + y * y) / free) /
               (2 * std::numbers::pi * g.std_v * g.std_a * std::sqrt(free));
  }
  return density;
}

}  // namespace affuse
