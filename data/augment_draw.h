// Draws of the augmentation's parameters, distributed as torchvision draws them.
#pragma once
#include <cstdint>

#include "kernels/math/augment.h"

namespace affuse {

/// Settings of torchvision's RandomHorizontalFlip, RandomAffine, ColorJitter and RandomErasing.
struct AugmentSettings {
  bool enabled = true;
  double flip = 0.5;                       ///< probability
  double degrees = 30;                     ///< rotation in [-degrees, degrees]
  double translate = 0.1;                  ///< shift in +-translate * image size, whole pixels
  double scale_min = 1, scale_max = 1.25;  ///< > 0
  double brightness = 0.5;                 ///< factor in [max(0, 1 - b), 1 + b]; so the next two
  double contrast = 0.5;
  double saturation = 0;
  double hue = 0;                                       ///< shift in [-hue, hue] turns, hue <= 0.5
  double erase_p = 0.5;                                 ///< probability
  double erase_area_min = 0.02, erase_area_max = 0.25;  ///< share of the image
  double erase_ratio_min = 0.3, erase_ratio_max = 3.3;  ///< height / width, log-uniform
};

/// What happens to sample `sample` of a size x size set in `epoch`: a function of the arguments
/// alone. The draws before random erasing do not depend on which transforms are switched on.
math::AugmentParams draw_augment(const AugmentSettings& settings, int size, std::uint64_t seed,
                                 std::uint32_t epoch, std::uint32_t sample);

}  // namespace affuse
