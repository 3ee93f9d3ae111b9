// The learning rate of each step.
#pragma once
#include <cstdint>

#include "apps/config/config.h"

namespace affuse {

/// Rates of a run: warm-up, then step or cosine decay, then SWA's constant rate if one is given.
class Schedule {
 public:
  /// `steps_per_epoch` >= 1.
  Schedule(const Config& config, std::int64_t steps_per_epoch);

  /// Rate of step `step` (from 0, over the whole run).
  /// Warm-up: lr (step + 1) / warmup_steps. step: lr gamma^floor(epoch / step_epochs), as
  /// torch.optim.lr_scheduler.StepLR. cosine: min_lr + (lr - min_lr) (1 + cos(pi t)) / 2 with
  /// t from 0 at the end of the warm-up to 1 behind the last step. From swa.start_epoch on:
  /// swa.lr, where given.
  double rate(std::int64_t step) const;

 private:
  Config::Schedule schedule_;
  double lr_;
  std::int64_t steps_per_epoch_, total_, swa_start_;
  double swa_lr_;
};

}  // namespace affuse
