// A fitted label model as a device takes it.
#pragma once
#include "data/label_model.h"
#include "kernels/math/targets.h"

namespace affuse {

/// The model's kind, its parameters in single precision, and the share of the one-hot label.
math::TargetModel<float> target_model(const LabelModel& model, double alpha);

}  // namespace affuse
