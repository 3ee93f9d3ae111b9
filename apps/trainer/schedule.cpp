#include "apps/trainer/schedule.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace affuse {

Schedule::Schedule(const Config& config, std::int64_t steps_per_epoch)
    : schedule_(config.schedule),
      lr_(config.optimizer.lr),
      steps_per_epoch_(steps_per_epoch),
      total_(steps_per_epoch * config.train.epochs),
      swa_start_(std::numeric_limits<std::int64_t>::max()),
      swa_lr_(0) {
  if (config.swa.enabled && config.swa.lr && config.swa.start_epoch) {
    swa_start_ = steps_per_epoch * (*config.swa.start_epoch - 1);
    swa_lr_ = *config.swa.lr;
  }
}

double Schedule::rate(std::int64_t step) const {
  if (step >= swa_start_) return swa_lr_;
  const std::int64_t warmup = schedule_.warmup_steps;
  if (step < warmup) return lr_ * static_cast<double>(step + 1) / static_cast<double>(warmup);
  switch (schedule_.kind) {
    case Config::Schedule::Kind::constant:
      return lr_;
    case Config::Schedule::Kind::step: {
      const std::int64_t drops = step / steps_per_epoch_ / schedule_.step_epochs;
      return lr_ * std::pow(schedule_.gamma, static_cast<double>(drops));
    }
    case Config::Schedule::Kind::cosine: {
      const double t = static_cast<double>(step - warmup) /
                       static_cast<double>(std::max<std::int64_t>(1, total_ - warmup));
      const double half = 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(t, 1.0)));
      return schedule_.min_lr + (lr_ - schedule_.min_lr) * half;
    }
  }
  return lr_;
}

}  // namespace affuse
