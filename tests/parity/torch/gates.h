// ReLUs whose input is 0 within rounding: two right implementations may take either side.
#pragma once
#include <functional>

#include "tests/parity/torch/rig.h"

namespace affuse::parity {

/// f(name, our gradient, the twin's) for every parameter, flat.
void for_gradients(const Rig& ours, const Twin& twin,
                   const std::function<void(const std::string&, Tensor, Tensor)>& f);

struct Settled {
  std::size_t near = 0;     ///< pre-activations within 1e-5 rms of 0
  std::size_t flipped = 0;  ///< of those, on our side of 0 in the end
};

/// Such a pre-activation changes the gradients below it by far more than rounding. While a
/// gradient differs by more than `tolerance`, tries its other side, nearest to 0 first, and keeps
/// what brings the gradients closer. `step` computes the twin's gradients anew.
Settled settle_gates(const Rig& ours, Twin& twin, const std::function<void()>& step,
                     double tolerance);

}  // namespace affuse::parity
