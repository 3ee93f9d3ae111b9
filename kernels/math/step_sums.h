// A step's few numbers on their way to a sum over the ranks: with each rank's losses weighed by its
// share of the batch, the sums are the means over the batch.
#pragma once
#include "engine/host_device.h"
#include "engine/step_state.h"

namespace affuse::math {

inline constexpr int kStepSums = 5;

/// sums [kStepSums] = share times loss, loss_ce, loss_cs and loss_l2; found_inf.
AFFUSE_HD void pack_step_sums(const StepState& s, double* sums) {
  const double share = double{s.share};
  sums[0] = share * s.loss;
  sums[1] = share * s.loss_ce;
  sums[2] = share * s.loss_cs;
  sums[3] = share * s.loss_l2;
  sums[4] = static_cast<double>(s.found_inf);
}

/// Back: the losses of the global batch; found_inf is 1 where any rank's was.
AFFUSE_HD void unpack_step_sums(const double* sums, StepState& s) {
  s.loss = sums[0];
  s.loss_ce = sums[1];
  s.loss_cs = sums[2];
  s.loss_l2 = sums[3];
  s.found_inf = sums[4] > 0 ? 1 : 0;
}

}  // namespace affuse::math
