// The dynamic loss scale of fp16 training (torch.cuda.amp.GradScaler's rule and constants).
#pragma once
#include <cstdint>

namespace affuse {

/// fp16 gradients below 6e-8 vanish, so the loss is scaled up as far as they do not overflow: the
/// scale halves when one does, and doubles after 2000 steps in a row without.
class LossScale {
 public:
  static constexpr float kStart = 65536;
  static constexpr std::int64_t kGrowAfter = 2000;

  float value = kStart;
  std::int64_t good_steps = 0;  ///< since the last change

  /// After a step; `overflow`: a scaled gradient was not finite. Throws Error once the scale is
  /// below 1, where it is no longer the scale that overflows.
  void update(bool overflow);
};

}  // namespace affuse
