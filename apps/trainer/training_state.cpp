#include "apps/trainer/training_state.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/config/load.h"
#include "engine/error.h"

namespace affuse {
namespace {

using nlohmann::json;

constexpr const char* kBuffers[] = {external::weights, external::moment1, external::moment2,
                                    external::average};

// The weights bear torchvision's names, so that a checkpoint is a weights file too.
std::string tensor_name(const char* buffer, const Param& param) {
  const bool weights = buffer == std::string_view(external::weights);
  return weights ? param.name : std::string(buffer) + "/" + param.name;
}

// Moments exist for trained parameters only; running statistics come with weights and average.
bool stored(std::string_view buffer, const Param& param) {
  return param.trainable() || buffer == external::weights || buffer == external::average;
}

}  // namespace

Checkpoint make_checkpoint(const Model& model, const TrainingState& state, const ModelCard& card,
                           const std::string& config_text) {
  Checkpoint out;
  const Graph& graph = model.graph();
  for (const char* buffer : kBuffers) {
    if (state.averaged == 0 && buffer == std::string_view(external::average)) continue;
    for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
      const Param& p = graph.param_at(id);
      if (!stored(buffer, p)) continue;
      Tensor tensor;
      for (int i = 0; i < p.shape.rank(); ++i) tensor.shape.push_back(p.shape[i]);
      tensor.values = model.parameters().get(buffer, id);
      out.tensors[tensor_name(buffer, p)] = std::move(tensor);
    }
  }
  out.metadata = card.metadata();
  out.metadata["config"] = config_text;
  out.metadata["engine_choices"] = json(model.choices()).dump();
  out.metadata["state"] = json{
      {"ranks", state.ranks},
      {"data", state.data},
      {"epoch", state.epoch},
      {"batch", state.batch},
      {"step", state.step},
      {"averaged", state.averaged},
      {"skipped", state.skipped},
      {"frozen_updates", state.frozen_updates},
      {"loss_scale", state.loss_scale.value},
      {"good_steps", state.loss_scale.good_steps},
      {"best", state.best},
      {"best_epoch", state.best_epoch},
      {"epoch_loss", state.epoch_loss},
      {"epoch_samples",
       state.epoch_samples}}.dump();
  return out;
}

CheckpointInfo read_checkpoint_info(const Checkpoint& checkpoint, const std::string& file) {
  CheckpointInfo info;
  try {
    const std::string& config = checkpoint.metadata.at("config");
    json::parse(config).at("versions").get_to(info.versions);
    info.config = parse_config(config, "its configuration");
    const json s = json::parse(checkpoint.metadata.at("state"));
    s.at("ranks").get_to(info.state.ranks);
    s.at("data").get_to(info.state.data);
    s.at("epoch").get_to(info.state.epoch);
    s.at("batch").get_to(info.state.batch);
    s.at("step").get_to(info.state.step);
    s.at("averaged").get_to(info.state.averaged);
    s.at("skipped").get_to(info.state.skipped);
    info.state.frozen_updates = s.value("frozen_updates", std::int64_t{0});
    s.at("loss_scale").get_to(info.state.loss_scale.value);
    s.at("good_steps").get_to(info.state.loss_scale.good_steps);
    s.at("best").get_to(info.state.best);
    s.at("best_epoch").get_to(info.state.best_epoch);
    s.at("epoch_loss").get_to(info.state.epoch_loss);
    s.at("epoch_samples").get_to(info.state.epoch_samples);
    json::parse(checkpoint.metadata.at("engine_choices")).get_to(info.choices);
    return info;
  } catch (const std::exception& e) {  // json's errors, at()'s out_of_range, ConfigError
    const auto writer = info.versions.find("affuse");
    throw WeightsError(
        fmt::format("{}: not a checkpoint that affuse {} can resume ({}): {}", file, AFFUSE_VERSION,
                    writer == info.versions.end() ? "no training run wrote it"
                                                  : "written by affuse " + writer->second,
                    e.what()));
  }
}

void restore(Model& model, const Checkpoint& checkpoint, const std::string& file) {
  const Graph& graph = model.graph();
  for (const char* buffer : kBuffers)
    for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
      const Param& p = graph.param_at(id);
      if (!stored(buffer, p)) continue;
      const auto it = checkpoint.tensors.find(tensor_name(buffer, p));
      const bool optional = buffer == std::string_view(external::average);
      if (it == checkpoint.tensors.end()) {
        if (optional) continue;
        throw WeightsError(file + ": no tensor " + tensor_name(buffer, p));
      }
      if (static_cast<std::int64_t>(it->second.values.size()) != p.shape.count())
        throw WeightsError(file + ": " + it->first + " does not have shape " + p.shape.text());
      model.parameters().set(buffer, id, it->second.values);
    }
  model.parameters_changed();
}

}  // namespace affuse
