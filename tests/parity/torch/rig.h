// Our side of a comparison: a model with its label model and losses bound, ready to step.
#pragma once
#include "layers/model.h"
#include "tests/parity/torch/faces.h"
#include "tests/parity/torch/maps.h"
#include "tests/parity/torch/twin.h"

namespace affuse::parity {

class Rig {
 public:
  /// `ranks`: those that sum their gradients; null: none. `freezes`: see Model. `mixup`: training
  /// mixes, with the share in the state of its plan.
  Rig(int image, double width, int batch, Precision precision = Precision::fp32,
      float weight_decay = 0, std::shared_ptr<Communicator> ranks = nullptr, bool freezes = false,
      bool mixup = false)
      : model_(backend(std::move(ranks)), network(image, width, mixup), lower(batch, precision),
               Adam{0.9f, 0.999f, 1e-8f, weight_decay, false}, nullptr, freezes) {
    const auto settings = loss_settings();
    const auto labels = label_model();
    model_.bind(external::loss_settings, &settings, sizeof settings);
    model_.bind(external::label_model, &labels, sizeof labels);
  }

  Model& model() { return model_; }
  Parameters& parameters() { return model_.parameters(); }
  const Parameters& parameters() const { return model_.parameters(); }

  /// One training step; step counts from 1. `share`: of these valid samples in the ranks' batch.
  /// Returns the losses that it left in the state.
  const StepState& train(const Batch& batch, int step, double lr, double share = 1,
                         Mode mode = Mode::train) {
    Plan& plan = model_.plan(mode);
    upload(plan, batch);
    plan.state().step = step;
    plan.state().lr = static_cast<float>(lr);
    plan.state().share = static_cast<float>(share);
    plan.run();
    return plan.state();
  }

  const StepState& evaluate(const Batch& batch, WeightSet set) {
    Plan& plan = model_.plan(Mode::eval);
    plan.use(set);
    upload(plan, batch);
    plan.run();
    return plan.state();
  }

  /// The valid rows of an output of the plan that ran last.
  Tensor output(Mode mode, const char* name, const Batch& batch, int columns) {
    std::vector<float> rows(static_cast<std::size_t>(batch.size * columns));
    model_.plan(mode).download(name, rows.data(), rows.size() * sizeof(float));
    return tensor(rows, {batch.size, columns}).narrow(0, 0, batch.valid);
  }

  int base() const { return base_channels(model_.network().width); }

 private:
  static std::unique_ptr<Backend> backend(std::shared_ptr<Communicator> ranks) {
    auto cpu = make_cpu_backend(0);
    if (ranks != nullptr) cpu->join(std::move(ranks));
    return cpu;
  }
  static NetworkSpec network(int image, double width, bool mixup) {
    NetworkSpec spec;
    spec.image_size = image;
    spec.width = width;
    spec.mixup = mixup;
    return spec;
  }
  static LowerSpec lower(int batch, Precision precision) {
    LowerSpec spec;
    spec.batch = batch;
    spec.precision = precision;
    return spec;
  }

  Model model_;
};

}  // namespace affuse::parity
