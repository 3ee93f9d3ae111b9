// From a configuration to a backend and a model.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/config.h"
#include "layers/model.h"

namespace affuse {

/// The backend of train.device; `auto` takes CUDA where it is there, else the CPU, and the log says
/// which. Throws ConfigError where `cuda` is asked for and missing.
std::unique_ptr<Backend> open_backend(const Config& config);
/// The same for a rank: its own device, joined with the others. CUDA where every rank has it.
std::unique_ptr<Backend> open_backend(const Config& config,
                                      const std::shared_ptr<RankGroup>& group);

/// A program's part of the batch where `ranks` processes share it.
LowerSpec lower_spec(const Config& config, int ranks = 1);

Adam adam_of(const Config::Optimizer& optimizer);

/// A model for training, with the random start of train.seed or model.init. `recorded`: the
/// implementations that a resumed run takes; its numbers are then left to restore().
std::unique_ptr<Model> build_training_model(std::unique_ptr<Backend> backend, const Config& config,
                                            int classes, const EngineChoices* recorded,
                                            int ranks = 1);

/// A model for evaluation of `batch` samples at a time.
std::unique_ptr<Model> build_eval_model(std::unique_ptr<Backend> backend,
                                        const NetworkSpec& network, const LowerSpec& spec);

/// Names and versions for config.json: affuse, backend, libraries.
std::vector<std::pair<std::string, std::string>> versions(const DeviceInfo& device);

}  // namespace affuse
