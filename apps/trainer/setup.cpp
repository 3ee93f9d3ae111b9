#include "apps/trainer/setup.h"

#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "apps/trainer/model_io.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

Precision precision_of(Config::Train::Precision p) {
  switch (p) {
    case Config::Train::Precision::fp32:
      return Precision::fp32;
    case Config::Train::Precision::tf32:
      return Precision::tf32;
    case Config::Train::Precision::bf16:
      return Precision::bf16;
    case Config::Train::Precision::fp16:
      return Precision::fp16;
  }
  return Precision::fp32;
}

std::unique_ptr<Backend> announce(std::unique_ptr<Backend> backend) {
  const DeviceInfo info = backend->info();
  log_info(fmt::format("device: {} ({}, {})", info.name, info.hardware, info.libraries));
  return backend;
}

/// srun may show each rank one GPU alone, which is then device 0 whatever the rank.
int device_of(const Ranks& ranks) {
  const char* shown = std::getenv("CUDA_VISIBLE_DEVICES");
  return shown != nullptr && std::string_view(shown).find(',') == std::string_view::npos
             ? 0
             : ranks.local_rank;
}

/// Null where train.device does without it.
std::unique_ptr<Backend> try_cuda(const Config::Train& train, int device) {
  if (train.device == Config::Train::Device::cpu) return nullptr;
  try {
    return make_cuda_backend(device);
  } catch (const DeviceError& e) {
    if (train.device == Config::Train::Device::cuda)
      throw ConfigError(fmt::format("train.device: {}", e.what()));
    return nullptr;
  }
}

}  // namespace

std::unique_ptr<Backend> open_backend(const Config& config) {
  return open_backend(config, std::make_shared<RankGroup>());
}

std::unique_ptr<Backend> open_backend(const Config& config,
                                      const std::shared_ptr<RankGroup>& group) {
  const Config::Train& t = config.train;
  const int device = device_of(group->ranks());
  std::unique_ptr<Backend> backend = try_cuda(t, device);
  // A rank without a GPU would leave the others waiting in NCCL.
  double missing = backend == nullptr ? 1 : 0;
  group->max(&missing, 1);
  if (missing == 0) {
    backend->join(make_cuda_communicator(group, device));
    return announce(std::move(backend));
  }
  if (t.precision == Config::Train::Precision::tf32 ||
      t.precision == Config::Train::Precision::fp16)
    throw ConfigError(
        fmt::format("train.precision: {} needs CUDA; the CPU computes in fp32 or bf16",
                    name_of(precision_of(t.precision))));
  backend = announce(make_cpu_backend(t.threads));
  backend->join(make_cpu_communicator(group));
  const std::string note = backend->info().precision_note;
  if (t.precision == Config::Train::Precision::bf16 && !note.empty()) log_warning(note);
  return backend;
}

LowerSpec lower_spec(const Config& config, int ranks) {
  LowerSpec spec;
  spec.batch = config.train.batch_size / ranks;
  spec.precision = precision_of(config.train.precision);
  spec.deterministic = config.train.deterministic;
  spec.workspace_bytes = static_cast<std::size_t>(config.train.workspace_mb) << 20;
  return spec;
}

Adam adam_of(const Config::Optimizer& o) {
  return {static_cast<float>(o.beta1), static_cast<float>(o.beta2), static_cast<float>(o.eps),
          static_cast<float>(o.weight_decay), o.decoupled};
}

std::unique_ptr<Model> build_training_model(std::unique_ptr<Backend> backend, const Config& config,
                                            int classes, const EngineChoices* recorded, int ranks) {
  auto model = std::make_unique<Model>(std::move(backend), network_spec(config, classes),
                                       lower_spec(config, ranks), adam_of(config.optimizer),
                                       recorded, config.train.freeze_epochs > 0);
  if (recorded != nullptr) return model;
  model->parameters().initialise(config.train.seed);
  log_info(config.model.init.empty()
               ? fmt::format("start: random (train.seed {})", config.train.seed)
               : load_start(model->parameters(), config.model.init));
  if (config.model.init.empty() && config.train.freeze_epochs > 0)
    log_warning(
        "train.freeze_epochs without model.init: the heads learn from the features of a random "
        "network");
  model->parameters_changed();
  return model;
}

std::unique_ptr<Model> build_eval_model(std::unique_ptr<Backend> backend,
                                        const NetworkSpec& network, const LowerSpec& spec) {
  return std::make_unique<Model>(std::move(backend), network, spec, std::nullopt);
}

std::vector<std::pair<std::string, std::string>> versions(const DeviceInfo& device) {
  return {{"affuse", AFFUSE_VERSION},
          {"device", device.name},
          {"hardware", device.hardware},
          {"libraries", device.libraries}};
}

}  // namespace affuse
