// Mixup of a batch on the CPU.
#pragma once
#include <cstddef>

#include "engine/dtype.h"

namespace affuse::cpu {

/// x [n, elements], in place: each of the first `valid` rows becomes mix times itself plus (1 -
/// mix) times its partner (kernels/math/mixup.h). The other rows, the middle one of an odd count,
/// and with mix 1 all of them, stay as they are. T is float or Bf16; 0 <= valid <= n; mix in [0,
/// 1].
template <class T>
void mixup(T* x, std::size_t elements, int valid, float mix);

}  // namespace affuse::cpu
