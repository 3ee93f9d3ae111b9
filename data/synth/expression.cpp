// VA points, their annotation, and the action units that show them.
#include "data/synth/expression.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace affuse {
namespace {

constexpr double kBlend = .25;  // share of the neighbouring classes' action units

constexpr auto kRecipes = [] {
  std::array<AuVector, kAffectNetClasses> r{};
  const auto set = [&r](std::size_t label, std::initializer_list<std::pair<Au, float>> units) {
    for (const auto& [au, weight] : units) r[label][au] = weight;
  };
  set(1, {{kAu6, 1}, {kAu12l, 1}, {kAu12r, 1}, {kAu25, .6f}});
  set(2, {{kAu1, 1}, {kAu4, .6f}, {kAu15, 1}});
  set(3, {{kAu1, 1}, {kAu2, 1}, {kAu5, .8f}, {kAu25, .4f}, {kAu26, 1}});
  set(4, {{kAu1, 1}, {kAu2, .5f}, {kAu4, .7f}, {kAu5, 1}, {kAu20, 1}, {kAu25, .5f}, {kAu26, .35f}});
  set(5, {{kAu9, 1}, {kAu15, .6f}, {kAu16, .8f}, {kAu7, .4f}, {kAu25, .35f}});
  set(6, {{kAu4, 1}, {kAu5, .5f}, {kAu7, .6f}, {kAu23, 1}});
  set(7, {{kAu12r, 1.15f}, {kAu14r, 1.25f}, {kAu7, .25f}});
  return r;
}();

Va clip_to_disc(Va p) {
  const double radius = std::hypot(p.valence, p.arousal);
  return radius > 1 ? Va{p.valence / radius, p.arousal / radius} : p;
}

// Class posterior at a point under equal priors; the floor keeps empty regions defined.
std::array<double, kAffectNetClasses> posterior(Va va) {
  std::array<double, kAffectNetClasses> q{};
  double sum = 0;
  for (int k = 0; k < kAffectNetClasses; ++k) {
    auto& density = q[static_cast<std::size_t>(k)];
    density = va_density(affectnet_va_mixture(k), va) / kAffectNetClasses + 1e-12;
    sum += density;
  }
  for (double& x : q) x /= sum;
  return q;
}

}  // namespace

Va draw_va(int label, Philox& random) {
  const auto mixture = affectnet_va_mixture(label);
  double total = 0;
  for (const VaGaussian& g : mixture) total += g.weight;
  double rest = random.uniform() * total;
  std::size_t pick = 0;
  while (pick + 1 < mixture.size() && rest >= mixture[pick].weight) rest -= mixture[pick++].weight;
  const VaGaussian& g = mixture[pick];
  const double x = random.normal(), y = random.normal(), r = g.correlation;
  return clip_to_disc(
      {g.mean_v + g.std_v * x, g.mean_a + g.std_a * (r * x + std::sqrt(1 - r * r) * y)});
}

Va annotate_va(Va true_va, double noise, Philox& random) {
  const double dv = random.normal(), da = random.normal();
  return clip_to_disc({true_va.valence + noise * dv, true_va.arousal + noise * da});
}

double expression_intensity(Va va) {
  const double radius = std::hypot(va.valence, va.arousal);
  return std::pow(std::clamp((radius - .06) / .80, 0., 1.1), .85);
}

AuVector action_units(int label, Va va) {
  const auto own = static_cast<std::size_t>(label);
  const auto q = posterior(va);
  const double intensity = expression_intensity(va);
  AuVector au{};
  for (std::size_t a = 0; a < kAuCount; ++a) {
    double mix = (1 - kBlend) * kRecipes.at(own)[a];
    for (std::size_t k = 0; k < kRecipes.size(); ++k) mix += kBlend * q[k] * kRecipes[k][a];
    au[a] = static_cast<float>(mix * intensity);
  }
  const double lift = .15 * std::max(va.valence, 0.), sag = .15 * std::max(-va.valence, 0.);
  au[kAu5] += static_cast<float>(.25 * std::max(va.arousal, 0.) * intensity);
  au[kAu12l] += static_cast<float>(lift);
  au[kAu12r] += static_cast<float>(lift);
  au[kAu15] += static_cast<float>(sag);
  return au;
}

AuVector vary_action_units(AuVector mean, Philox& random) {
  const double person = random.uniform(.85, 1.2);
  for (float& au : mean) {
    const double jitter = std::clamp(1 + .18 * random.normal(), 0., 2.);
    const double kept = random.uniform() > .05 ? 1 : 0;
    const double stray = std::abs(random.normal(0, .05));
    au = static_cast<float>(au * person * jitter * kept + stray);
  }
  if (random.uniform() < .5) {
    std::swap(mean[kAu12l], mean[kAu12r]);
    std::swap(mean[kAu14l], mean[kAu14r]);
  }
  return mean;
}

}  // namespace affuse
