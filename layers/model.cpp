#include "layers/model.h"

#include <algorithm>

namespace affuse {
Graph training_graph(const NetworkSpec& network, const std::optional<Adam>& adam) {
  Graph graph = resnet18(network);
  if (adam) {
    graph.add("all_reduce", AllReduce{});
    graph.add("adam", *adam);
    graph.add("average", Average{});
  }
  return graph;
}

Model::Model(std::unique_ptr<Backend> backend, const NetworkSpec& network, const LowerSpec& train,
             const std::optional<Adam>& adam, const EngineChoices* recorded, bool freezes)
    : backend_(std::move(backend)),
      network_(network),
      graph_(training_graph(network, adam)),
      parameters_(std::make_unique<Parameters>(*backend_, graph_, train)) {
  std::vector<Mode> modes = {Mode::eval};
  if (adam) modes = {Mode::train, Mode::eval, Mode::statistics, Mode::average};
  if (adam && freezes) modes.push_back(Mode::heads);
  std::size_t bytes = 1;
  for (const Mode mode : modes) {
    LowerSpec spec = train;
    spec.mode = mode;
    auto plan = std::make_unique<Plan>(*backend_, *parameters_, spec, recorded);
    bytes = std::max(bytes, plan->arena().bytes);
    plans_[mode] = std::move(plan);
  }
  slab_ = backend_->allocate(bytes);
  for (auto& [mode, plan] : plans_) plan->place_in(slab_);
}

void Model::bind(const std::string& buffer, const void* host, std::size_t bytes) {
  auto& memory = bound_[buffer];
  if (memory == nullptr || memory->bytes() != bytes) memory = backend_->allocate(bytes);
  backend_->upload(memory->data(), host, bytes);
  for (auto& [mode, plan] : plans_)
    if (plan->has(buffer)) plan->bind(buffer, memory->data());
}

void Model::parameters_changed() {
  for (auto& [mode, plan] : plans_) plan->use(plan->weight_set());
}

EngineChoices Model::choices() const {
  EngineChoices all;
  for (const auto& [mode, plan] : plans_) all.merge(plan->choices());
  return all;
}

}  // namespace affuse
