#include "apps/trainer/loss_scale.h"

#include "engine/error.h"

namespace affuse {

void LossScale::update(bool overflow) {
  constexpr float kMax = 16777216;  // 2^24: doubling for ever would reach infinity
  if (overflow) {
    value /= 2;
    good_steps = 0;
    if (value < 1)
      throw Error(
          "the fp16 gradients are not finite at any loss scale; a lower optimizer.lr or "
          "train.precision=bf16 may help");
    return;
  }
  if (++good_steps < kGrowAfter) return;
  good_steps = 0;
  if (value < kMax) value *= 2;
}

}  // namespace affuse
