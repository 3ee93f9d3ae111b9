// What `affuse train --dry-run` does: everything but train.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "apps/trainer/trainer.h"
#include "weights/checkpoint.h"

namespace affuse {

inline constexpr int kDrySteps = 2;

/// The run that is looked ahead to.
struct DryRun {
  std::string folder;                    ///< its run folder, which need not be there
  std::optional<Checkpoint> checkpoint;  ///< that it goes on from
  std::string last;                      ///< the checkpoint's file, for messages
};

/// Builds the model, runs kDrySteps training steps and evaluates a batch; writes nothing. Returns a
/// report for people: data, losses, time, memory and disk space of the whole training; warns where
/// memory or disk is too small. `inputs.train` may hold images for its first samples alone (see
/// preview_synthetic). Throws what the run would throw.
std::string dry_run(std::unique_ptr<Backend> backend, TrainInputs inputs, const DryRun& run);

}  // namespace affuse
