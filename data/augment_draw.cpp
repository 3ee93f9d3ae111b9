// torchvision's get_params functions on a counter-based stream.
#include "data/augment_draw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/philox.h"

namespace affuse {
namespace {

/// RandomAffine.get_params: the shift is rounded to whole pixels, halves to even as Python does.
math::Affine draw_affine(const AugmentSettings& s, int size, Philox& random) {
  const double angle = random.uniform(-s.degrees, s.degrees);
  const double reach = s.translate * size;
  const double tx = std::nearbyint(random.uniform(-reach, reach));
  const double ty = std::nearbyint(random.uniform(-reach, reach));
  const double scale = random.uniform(s.scale_min, s.scale_max);
  return math::inverse_affine(angle, tx, ty, scale);
}

/// ColorJitter: each factor uniform, the four operations in a random order.
void draw_jitter(const AugmentSettings& s, Philox& random, math::AugmentParams& out) {
  for (int i = math::kJitters - 1; i > 0; --i) {
    std::swap(out.order[i], out.order[random.below(static_cast<std::uint32_t>(i) + 1)]);
  }
  const auto factor = [&](double reach) {
    return static_cast<float>(random.uniform(std::max(0.0, 1 - reach), 1 + reach));
  };
  out.brightness = factor(s.brightness);
  out.contrast = factor(s.contrast);
  out.saturation = factor(s.saturation);
  out.hue = static_cast<float>(random.uniform(-s.hue, s.hue));
}

/// RandomErasing.get_params: up to 10 tries for a rectangle strictly inside, else nothing.
void draw_erasing(const AugmentSettings& s, int size, Philox& random, math::AugmentParams& out) {
  if (random.uniform() >= s.erase_p) return;
  const double area = static_cast<double>(size) * size;
  const double log_min = std::log(s.erase_ratio_min), log_max = std::log(s.erase_ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double erased = area * random.uniform(s.erase_area_min, s.erase_area_max);
    const double ratio = std::exp(random.uniform(log_min, log_max));
    const double height = std::nearbyint(std::sqrt(erased * ratio));
    const double width = std::nearbyint(std::sqrt(erased / ratio));
    if (height >= size || width >= size) continue;
    out.erase_height = static_cast<std::int32_t>(height);
    out.erase_width = static_cast<std::int32_t>(width);
    const auto places = [&](std::int32_t length) {
      return static_cast<std::uint32_t>(size - length) + 1;
    };
    out.erase_top = static_cast<std::int32_t>(random.below(places(out.erase_height)));
    out.erase_left = static_cast<std::int32_t>(random.below(places(out.erase_width)));
    return;
  }
}

}  // namespace

math::AugmentParams draw_augment(const AugmentSettings& settings, int size, std::uint64_t seed,
                                 std::uint32_t epoch, std::uint32_t sample) {
  math::AugmentParams out = math::identity_augment();
  if (!settings.enabled) return out;
  Philox random(seed, Purpose::augment, epoch, sample);
  out.flip = random.uniform() < settings.flip ? 1 : 0;
  out.inverse = draw_affine(settings, size, random);
  draw_jitter(settings, random, out);
  draw_erasing(settings, size, random, out);
  return out;
}

}  // namespace affuse
