// A fitted label model as a device takes it.
#pragma once
#include "data/label_model.h"
#include "kernels/math/targets.h"

namespace affuse {

/// The model's kind, its parameters in single precision, the share of the one-hot label (Eq. 4) and
/// that of the uniform distribution (label smoothing).
math::TargetModel<float> target_model(const LabelModel& model, double alpha, double smoothing = 0);

}  // namespace affuse
