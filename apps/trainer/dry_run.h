// What `affuse train --dry-run` does: everything but train.
#pragma once
#include <string>

#include "apps/trainer/trainer.h"

namespace affuse {

/// Builds the model, runs two training steps and one evaluation step, writes nothing. Returns a
/// report: data, losses, time a step, memory, disk.
std::string dry_run(std::unique_ptr<Backend> backend, TrainInputs inputs);

}  // namespace affuse
