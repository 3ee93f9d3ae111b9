// The network's answers for a whole split.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "apps/trainer/measures.h"
#include "data/loader.h"
#include "layers/model.h"

namespace affuse {

/// Copies a batch into a plan's inputs; between Plan::start and finish too, for the next run.
void upload_inputs(Plan& plan, const Batch& batch);
/// The same, and sets the plan's valid count.
void upload_batch(Plan& plan, const Batch& batch);

struct Evaluation {
  Predictions predictions;  ///< in the manifest's order
  double loss = 0;          ///< Eq. 9, mean over the samples
};

/// Runs the eval plan over every batch of a loader that does not shuffle. `progress` may be empty.
Evaluation evaluate(Model& model, WeightSet set, Loader& loader, const Manifest& manifest,
                    const std::function<void(std::size_t, std::size_t)>& progress = {});

/// predictions.csv: path,class,valence,arousal,p_0..p_{K-1},pred_valence,pred_arousal.
void write_predictions(const std::string& path, const Manifest& manifest,
                       const Predictions& predictions);

}  // namespace affuse
