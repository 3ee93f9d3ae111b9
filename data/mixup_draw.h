// The draw of mixup's share.
#pragma once
#include <cstdint>

namespace affuse {

/// m of StepState::mix for one training step, in [0, 1]: Beta(a, a) (Zhang et al., ICLR 2018), or 1
/// where a is 0. A function of the arguments alone, so every rank and every resumed run has the
/// same. a >= 0; step: of the epoch, from 0.
float draw_mixup(double a, std::uint64_t seed, std::uint32_t epoch, std::uint32_t step);

}  // namespace affuse
