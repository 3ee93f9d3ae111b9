// Where a training stands, and its checkpoint.
#pragma once
#include <cstdint>
#include <string>

#include "apps/trainer/loss_scale.h"
#include "apps/trainer/model_io.h"
#include "layers/model.h"
#include "weights/checkpoint.h"

namespace affuse {

/// Counters of a run. Everything else that a step depends on is a function of them and the
/// configuration, or stands in the parameters.
struct TrainingState {
  int ranks = 1;              ///< processes that train; a resumed run has as many
  int epoch = 0;              ///< epochs done
  std::int64_t batch = 0;     ///< batches done in the current epoch
  std::int64_t step = 0;      ///< optimiser steps done
  std::int64_t averaged = 0;  ///< models in the SWA average
  std::int64_t skipped = 0;   ///< steps left out because of a non-finite loss or gradient
  LossScale loss_scale;       ///< of fp16
  double best = -1e300;       ///< best validation score so far (higher is better)
  int best_epoch = 0;         ///< from 1; 0: none yet
  double epoch_loss = 0;      ///< sums of the current epoch, for train_loss
  std::int64_t epoch_samples = 0;
};

/// Everything that a resumed run needs: parameters, moments, average, counters, configuration and
/// the implementations taken.
Checkpoint make_checkpoint(const Model& model, const TrainingState& state, const ModelCard& card,
                           const std::string& config_text);

/// Reads the counters and the choices of a checkpoint. Throws WeightsError naming `file`.
struct CheckpointInfo {
  TrainingState state;
  EngineChoices choices;
};
CheckpointInfo read_checkpoint_info(const Checkpoint& checkpoint, const std::string& file);

/// Puts a checkpoint's numbers into the model. Throws WeightsError naming `file`.
void restore(Model& model, const Checkpoint& checkpoint, const std::string& file);

}  // namespace affuse
