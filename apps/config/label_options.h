// Config section `label_model` as the label model takes it.
#pragma once
#include "apps/config/config.h"
#include "data/label_model.h"

namespace affuse {

/// Options of fit_label_model; the mixture starts from train.seed.
LabelModelOptions label_model_options(const Config& config);

}  // namespace affuse
