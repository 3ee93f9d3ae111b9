// A network on a device with the plans that a run needs, in one slab.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "layers/plan.h"
#include "layers/resnet18.h"

namespace affuse {

/// The network and, with `adam`, what a training step ends with.
Graph training_graph(const NetworkSpec& network, const std::optional<Adam>& adam);

/// Backend, graph, parameters and plans. The plans share one slab, so their inputs and outputs are
/// valid only until another plan runs.
class Model {
 public:
  /// `train` fixes batch and precision of all plans. `adam` is what the training step ends with
  /// (nullopt: a model for evaluation only, without a training plan). `recorded`: see
  /// Backend::lower. `freezes`: some steps train the heads alone (Mode::heads). Such a step holds
  /// what it made of the backbone: after other plans have run, Plan::use prepares it anew.
  Model(std::unique_ptr<Backend> backend, const NetworkSpec& network, const LowerSpec& train,
        const std::optional<Adam>& adam, const EngineChoices* recorded = nullptr,
        bool freezes = false);

  const Graph& graph() const { return graph_; }
  const NetworkSpec& network() const { return network_; }
  Backend& backend() { return *backend_; }
  Parameters& parameters() { return *parameters_; }
  const Parameters& parameters() const { return *parameters_; }

  bool has(Mode mode) const { return plans_.contains(mode); }
  Plan& plan(Mode mode) { return *plans_.at(mode); }
  const Plan& plan(Mode mode) const { return *plans_.at(mode); }
  std::size_t slab_bytes() const { return slab_->bytes(); }

  /// Binds what is neither arena nor parameter to every plan that uses it. `host` stays the
  /// caller's; its bytes are copied to the device.
  void bind(const std::string& buffer, const void* host, std::size_t bytes);

  /// The weights or running statistics changed outside a plan.
  void parameters_changed();

  /// Implementations of all plans.
  EngineChoices choices() const;

 private:
  std::unique_ptr<Backend> backend_;
  NetworkSpec network_;
  Graph graph_;
  std::unique_ptr<Parameters> parameters_;
  std::map<Mode, std::unique_ptr<Plan>> plans_;
  std::shared_ptr<Memory> slab_;
  std::map<std::string, std::unique_ptr<Memory>> bound_;
};

}  // namespace affuse
