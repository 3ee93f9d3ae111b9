// Where a training stands, and its checkpoint.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "apps/config/config.h"
#include "apps/trainer/loss_scale.h"
#include "apps/trainer/model_io.h"
#include "layers/model.h"
#include "weights/checkpoint.h"

namespace affuse {

/// Counters of a run. Everything else that a step depends on is a function of them and the
/// configuration, or stands in the parameters.
struct TrainingState {
  int ranks = 1;                    ///< processes that train; a resumed run has as many
  std::string data;                 ///< fingerprints of both sets; a resumed run has the same
  int epoch = 0;                    ///< epochs done
  std::int64_t batch = 0;           ///< batches done in the current epoch
  std::int64_t step = 0;            ///< optimiser steps done
  std::int64_t averaged = 0;        ///< models in the SWA average
  std::int64_t skipped = 0;         ///< steps left out because of a non-finite loss or gradient
  std::int64_t frozen_updates = 0;  ///< updates of the heads before the optimiser began anew
  LossScale loss_scale;             ///< of fp16
  double best = -1e300;             ///< best validation score so far (higher is better)
  int best_epoch = 0;               ///< from 1; 0: none yet
  double epoch_loss = 0;            ///< sums of the current epoch, for train_loss
  std::int64_t epoch_samples = 0;
};

/// Everything that a resumed run needs: parameters, moments, average, counters, configuration (with
/// the versions that print_config took) and the implementations taken.
Checkpoint make_checkpoint(const Model& model, const TrainingState& state, const ModelCard& card,
                           const std::string& config_text);

/// What a checkpoint says of its run. Throws WeightsError naming `file`, and the affuse that wrote
/// it where this one does not understand it.
struct CheckpointInfo {
  TrainingState state;
  EngineChoices choices;
  Config config;
  std::map<std::string, std::string> versions;  ///< of affuse, device, hardware, libraries
};
CheckpointInfo read_checkpoint_info(const Checkpoint& checkpoint, const std::string& file);

/// Puts a checkpoint's numbers into the model. Throws WeightsError naming `file`.
void restore(Model& model, const Checkpoint& checkpoint, const std::string& file);

}  // namespace affuse
