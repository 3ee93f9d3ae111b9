// Mixup (Zhang et al., ICLR 2018): who is blended with whom, and how; host and device.
#pragma once
#include "engine/host_device.h"

namespace affuse::math {

/// The row that is blended into `row` of the `valid` ones: batches are in an order drawn anew each
/// epoch, so the reversed batch is a random pairing. The middle row of an odd count is its own.
AFFUSE_HD int mixup_partner(int row, int valid) { return valid - 1 - row; }

/// Whether `row` has another one blended in; mix is StepState::mix. Where it has not, images and
/// losses are left as they are, to the bit.
AFFUSE_HD bool is_mixed(int row, int valid, float mix) {
  return mix != 1 && row < valid && mixup_partner(row, valid) != row;
}

/// mix own + (1 - mix) partner.
AFFUSE_HD float blended(float own, float partner, float mix) {
  return mix * own + (1 - mix) * partner;
}

}  // namespace affuse::math
