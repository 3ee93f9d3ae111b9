// The whole network from the same weights: outputs, losses, every gradient and running statistic.
#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/parity/torch/rig.h"

namespace affuse::parity {
namespace {

struct NetworkCase {
  int image;
  double width;
  int batch, valid;
  int trained;  ///< steps that our side trains before the comparison
  Precision precision = Precision::fp32;
};

std::string text(const NetworkCase& c) {
  return fmt::format("{} {}x{} width {} batch {} of {}, {}", name_of(c.precision), c.image, c.image,
                     c.width, c.valid, c.batch, c.trained > 0 ? "trained" : "random");
}

void PrintTo(const NetworkCase& c, std::ostream* out) { *out << text(c); }

/// What a comparison allows: outputs and losses, and gradients.
struct Allowed {
  double outputs, gradients;
  Closeness::Measure measure;
};

Allowed allowed(Precision precision) {
  // bf16 keeps 8 bits of every activation and gradient on the way through 20 layers, and a rounded
  // activation may fall on the other side of a ReLU: vectors agree, single elements need not.
  if (precision == Precision::bf16) return {0.05, 0.25, overall_error};
  return {1e-4, 1e-4, largest_error};
}

class TorchNetwork : public testing::TestWithParam<NetworkCase> {
 protected:
  /// Our model and the twin on the same weights.
  void SetUp() override {
    const NetworkCase c = GetParam();
    rig_ = std::make_unique<Rig>(c.image, c.width, c.batch, c.precision);
    twin_ = std::make_unique<Twin>(rig_->base());
    twin_->to(torch::kDouble);
    if (c.trained > 0) {
      rig_->parameters().initialise(3);
      rig_->model().parameters_changed();
      for (int step = 1; step <= c.trained; ++step)
        rig_->train(make_batch(c.batch, c.batch, c.image, static_cast<std::uint64_t>(step)), step,
                    1e-3);
      take(*twin_, rig_->parameters(), external::weights);
    } else {
      twin_->randomise(5);
      give(*twin_, rig_->parameters(), external::weights);
      take(*twin_, rig_->parameters(), external::weights);  // as fp32 holds them
      rig_->model().parameters_changed();
    }
  }

  void check_outputs(Closeness& close, Mode mode, const Batch& batch, const Twin::Output& want) {
    const int features = static_cast<int>(want.features.size(1));
    close.check("features", rig_->output(mode, io::features, batch, features), want.features);
    close.check("logits", rig_->output(mode, io::logits, batch, kClasses), want.logits);
    close.check("va", rig_->output(mode, io::va_out, batch, 2), want.va);
    close.check("probability", rig_->output(mode, io::probability, batch, kClasses),
                torch::softmax(want.logits, 1));
  }

  static void check_losses(Closeness& close, const StepState& got, const Losses& want) {
    close.check("L_CE", got.loss_ce, want.ce.item<double>());
    close.check("L_CS", got.loss_cs, want.cs.item<double>());
    close.check("L_2", got.loss_l2, want.l2.item<double>());
    close.check("L", got.loss, want.total().item<double>());
  }

  void check_tensors(Closeness& gradients, Closeness& running) {
    const auto state = state_of(*twin_);
    const auto& params = rig_->parameters().graph().params();
    for (std::size_t i = 0; i < params.size(); ++i) {
      const Tensor want = state.at(params[i].name);
      const auto id = static_cast<ParamId>(i);
      if (params[i].trainable())
        gradients.check(params[i].name,
                        tensor(rig_->parameters().get(external::gradients, id), want.sizes()),
                        want.grad());
      else
        running.check(params[i].name,
                      tensor(rig_->parameters().get(external::running, id), want.sizes()), want);
    }
  }

  std::unique_ptr<Rig> rig_;
  std::unique_ptr<Twin> twin_;
};

TEST_P(TorchNetwork, EvaluationAgrees) {
  const NetworkCase c = GetParam();
  const Allowed limit = allowed(c.precision);
  Closeness close("evaluation " + text(c), limit.outputs, limit.measure);
  const Batch batch = make_batch(c.batch, c.valid, c.image, 1001);
  const torch::NoGradGuard no_gradients;
  twin_->eval();
  const Twin::Output want = twin_->forward(normalised(batch, torch::kDouble));
  const StepState& state = rig_->evaluate(batch, WeightSet::current);
  check_outputs(close, Mode::eval, batch, want);
  check_losses(close, state, losses(want, batch, fused_labels(batch)));
}

TEST_P(TorchNetwork, TrainingStepAgrees) {
  const NetworkCase c = GetParam();
  const Allowed limit = allowed(c.precision);
  Closeness outputs("training " + text(c) + ": outputs", limit.outputs, limit.measure);
  Closeness gradients("training " + text(c) + ": gradients", limit.gradients, limit.measure);
  Closeness running("training " + text(c) + ": running statistics", limit.outputs, limit.measure);
  Closeness labels("training " + text(c) + ": fused labels", 2e-6);
  const Batch batch = make_batch(c.batch, c.valid, c.image, 1002);
  const Tensor target = fused_labels(batch);
  twin_->train();
  const Twin::Output want = twin_->forward(normalised(batch, torch::kDouble));
  const Losses loss = losses(want, batch, target);
  loss.total().backward();

  const StepState& state = rig_->train(batch, 1, 0);
  labels.check("q", rig_->output(Mode::train, io::target, batch, kClasses), target);
  check_outputs(outputs, Mode::train, batch, want);
  check_losses(outputs, state, loss);
  check_tensors(gradients, running);
}

INSTANTIATE_TEST_SUITE_P(
    ResNet18, TorchNetwork,
    testing::Values(NetworkCase{64, 0.25, 16, 13, 0}, NetworkCase{64, 0.25, 16, 13, 60},
                    NetworkCase{64, 0.5, 8, 8, 0}, NetworkCase{64, 0.5, 16, 13, 60},
                    NetworkCase{96, 0.25, 8, 5, 0}, NetworkCase{96, 0.25, 8, 5, 60},
                    NetworkCase{32, 0.5, 16, 11, 0}, NetworkCase{32, 1.0, 16, 16, 60},
                    NetworkCase{64, 1.0, 8, 7, 0}, NetworkCase{64, 1.0, 8, 7, 60},
                    NetworkCase{64, 0.25, 16, 13, 0, Precision::bf16},
                    NetworkCase{64, 0.5, 16, 13, 60, Precision::bf16}),
    [](const auto& test) {
      const NetworkCase& c = test.param;
      return fmt::format("{}_{}px_width{}_batch{}of{}_{}", name_of(c.precision), c.image,
                         static_cast<int>(100 * c.width), c.valid, c.batch,
                         c.trained > 0 ? "trained" : "random");
    });

}  // namespace
}  // namespace affuse::parity
