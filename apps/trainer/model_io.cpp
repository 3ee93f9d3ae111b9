#include "apps/trainer/model_io.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace affuse {
namespace {

using nlohmann::json;

std::vector<std::int64_t> dims_of(const Shape& shape) {
  std::vector<std::int64_t> dims;
  dims.reserve(static_cast<std::size_t>(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  return dims;
}

ExpectedShapes expected_shapes(const Graph& graph) {
  ExpectedShapes out;
  for (const Param& p : graph.params()) out[p.name] = dims_of(p.shape);
  return out;
}

std::string value_of(const Metadata& metadata, const std::string& key, const std::string& file) {
  const auto it = metadata.find(key);
  if (it == metadata.end())
    throw WeightsError(file + ": no '" + key +
                       "' in the metadata; only weights that affuse wrote say what they predict");
  return it->second;
}

bool is_head(const std::string& name) {
  return name.starts_with("fc_class.") || name.starts_with("fc_va.");
}

// What a checkpoint holds beside weights: "moment1/conv1.weight", "average/...".
void erase_training_tensors(StateDict& tensors) {
  std::erase_if(tensors, [](const auto& t) { return t.first.find('/') != std::string::npos; });
}

}  // namespace

Metadata ModelCard::metadata() const {
  Metadata m;
  m["format"] = "affuse";
  m["classes"] = json(classes).dump();
  m["image_size"] = std::to_string(network.image_size);
  m["width"] = fmt::format("{}", network.width);
  m["va_activation"] = network.va_activation == Activation::tanh ? "tanh" : "none";
  m["mean"] = json(network.mean).dump();
  m["std"] = json(network.std).dump();
  if (!label_model.empty()) m["label_model"] = label_model;
  if (temperature) m["temperature"] = fmt::format("{}", *temperature);
  return m;
}

ModelCard read_card(const Metadata& metadata, const std::string& file) {
  try {
    ModelCard card;
    card.classes = json::parse(value_of(metadata, "classes", file)).get<std::vector<std::string>>();
    card.network.classes = static_cast<int>(card.classes.size());
    card.network.image_size = std::stoi(value_of(metadata, "image_size", file));
    card.network.width = std::stod(value_of(metadata, "width", file));
    card.network.va_activation =
        value_of(metadata, "va_activation", file) == "none" ? Activation::none : Activation::tanh;
    json::parse(value_of(metadata, "mean", file)).get_to(card.network.mean);
    json::parse(value_of(metadata, "std", file)).get_to(card.network.std);
    if (const auto it = metadata.find("label_model"); it != metadata.end())
      card.label_model = it->second;
    if (const auto it = metadata.find("temperature"); it != metadata.end())
      card.temperature = std::stod(it->second);
    if (card.temperature && !(*card.temperature > 0 && std::isfinite(*card.temperature)))
      throw WeightsError(file + ": the metadata hold a temperature that is no positive number");
    if (card.classes.empty() || card.classes.size() > math::kMaxClasses ||
        card.network.image_size < 32 || card.network.image_size > 4096 ||
        !(card.network.width >= 0.25 && card.network.width <= 8))
      throw WeightsError(file + ": the metadata describe no model that affuse can build");
    return card;
  } catch (const json::exception& e) {
    throw WeightsError(file + ": unusable metadata: " + e.what());
  } catch (const std::logic_error& e) {  // stoi, stod
    throw WeightsError(file + ": unusable number in the metadata: " + e.what());
  }
}

NetworkSpec network_spec(const Config& config, int classes) {
  NetworkSpec spec;
  spec.image_size = config.data.image_size;
  spec.classes = classes;
  spec.width = config.model.width;
  spec.va_activation = config.model.va_activation == Config::Model::VaActivation::tanh
                           ? Activation::tanh
                           : Activation::none;
  for (std::size_t c = 0; c < 3; ++c) {
    spec.mean[c] = static_cast<float>(config.data.mean[c]);
    spec.std[c] = static_cast<float>(config.data.std[c]);
  }
  spec.mixup = config.augment.mixup_in_use() > 0;
  return spec;
}

StateDict state_dict(const Parameters& parameters, WeightSet set, std::int64_t batches) {
  const std::string buffer = set == WeightSet::average ? external::average : external::weights;
  const Graph& graph = parameters.graph();
  StateDict out;
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
    const Param& p = graph.param_at(id);
    Tensor tensor;
    tensor.shape = dims_of(p.shape);
    tensor.values = parameters.get(buffer, id);
    out[p.name] = std::move(tensor);
    if (p.kind != ParamKind::running_mean) continue;
    const std::string norm = p.name.substr(0, p.name.rfind('.'));
    Tensor counter;
    counter.is_integer = true;
    counter.integers = {batches};
    out[norm + ".num_batches_tracked"] = std::move(counter);
  }
  return out;
}

void load_state_dict(Parameters& parameters, StateDict tensors, const std::string& file) {
  const Graph& graph = parameters.graph();
  erase_training_tensors(tensors);
  check_state_dict(tensors, expected_shapes(graph), file);
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id)
    parameters.set(external::weights, id, tensors.at(graph.param_at(id).name).values);
}

std::string load_start(Parameters& parameters, const std::string& path) {
  StateDict tensors = read_weights(path).tensors;
  erase_training_tensors(tensors);
  tensors.erase("fc.weight");
  tensors.erase("fc.bias");
  const Graph& graph = parameters.graph();
  ExpectedShapes expected = expected_shapes(graph);
  const bool has_heads =
      std::any_of(tensors.begin(), tensors.end(), [](const auto& t) { return is_head(t.first); });
  if (!has_heads) std::erase_if(expected, [](const auto& e) { return is_head(e.first); });
  check_state_dict(tensors, expected, path);
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id)
    if (const auto it = tensors.find(graph.param_at(id).name); it != tensors.end())
      parameters.set(external::weights, id, it->second.values);
  return fmt::format("start: {} from {}{}", has_heads ? "network and heads" : "network", path,
                     has_heads ? "" : ", heads random");
}

}  // namespace affuse
