// The row that an epoch leaves in metrics.csv.
#pragma once
#include <optional>

#include "apps/trainer/measures.h"
#include "apps/trainer/trainer.h"

namespace affuse {

struct Trainer::EpochRow {
  int epoch = 0;           ///< from 1
  bool validated = false;  ///< on the first rank, which alone knows the measures
  double train_loss = 0, lr = 0, seconds = 0, images_per_s = 0;
  std::optional<double> val_loss, val_loss_swa;
  std::optional<Measures> measures, measures_swa;
};

/// What model selection compares: macro-F1, or minus the loss where no class is annotated.
double selection_score(const Measures& measures, double val_loss);

}  // namespace affuse
