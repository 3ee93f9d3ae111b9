// The whole network from the same weights: outputs, losses, every gradient and running statistic.
#include <cmath>

#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/parity/torch/gates.h"

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

class TorchNetwork : public testing::TestWithParam<NetworkCase> {
 protected:
  /// Our model and the twin on the same weights.
  void SetUp() override {
    const NetworkCase c = GetParam();
    rig_ = std::make_unique<Rig>(c.image, c.width, c.batch, c.precision);
    twin_ = std::make_shared<Twin>(rig_->base());
    twin_->to(torch::kDouble);
    c.trained > 0 ? train() : randomise();
  }

  void train() {
    const NetworkCase c = GetParam();
    rig_->parameters().initialise(3);
    rig_->model().parameters_changed();
    for (int step = 1; step <= c.trained; ++step)
      rig_->train(make_batch(c.batch, c.batch, c.image, static_cast<unsigned>(step)), step, 1e-3);
    take(*twin_, rig_->parameters(), external::weights);
  }

  void randomise() {
    twin_->randomise(5);
    give(*twin_, rig_->parameters(), external::weights);
    take(*twin_, rig_->parameters(), external::weights);  // as fp32 holds them
    rig_->model().parameters_changed();
  }

  /// The twin's outputs and losses in training, its gradients in its parameters.
  std::pair<Twin::Output, Losses> step_twin(const Batch& batch, const Tensor& target) {
    twin_->train();
    twin_->zero_grad();
    const Twin::Output out = twin_->forward(normalised(batch, torch::kDouble));
    const Losses loss = losses(out, batch, target);
    loss.total().backward();
    return {out, loss};
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

  void check_running(Closeness& close) {
    const auto state = state_of(*twin_);
    const auto& params = rig_->parameters().graph().params();
    for (std::size_t i = 0; i < params.size(); ++i)
      if (!params[i].trainable())
        close.check(
            params[i].name,
            tensor(rig_->parameters().get(external::running, static_cast<ParamId>(i)), {-1}),
            state.at(params[i].name));
  }

  void check_gradients(const Batch& batch, const Tensor& target) {
    constexpr double tolerance = 1e-4;
    const Settled gates = settle_gates(
        *rig_, *twin_, [&] { step_twin(batch, target); }, tolerance);
    fmt::print("[  PARITY  ] {}: {} pre-activations within 1e-5 rms of 0, {} on the other side\n",
               text(GetParam()), gates.near, gates.flipped);
    Closeness close("gradients " + text(GetParam()), tolerance);
    for_gradients(*rig_, *twin_,
                  [&](const std::string& name, const Tensor& got, const Tensor& want) {
                    close.check(name, got, want);
                  });
  }

  /// In bf16 a rounded pre-activation often falls on the other side of a ReLU, and gradients of a
  /// whole network move by tens of percent. The measure is what LibTorch's own gradients do when
  /// it rounds the same tensors: ours may not stray from the exact ones much further.
  void check_bf16_gradients(const Batch& batch, const Tensor& target) {
    std::map<std::string, Tensor> exact;
    for_gradients(*rig_, *twin_, [&](const std::string& name, const Tensor&, const Tensor& want) {
      exact[name] = want.clone();
    });
    twin_->arithmetic.bf16 = true;
    step_twin(batch, target);
    double square = 0, twins = 0;
    for_gradients(*rig_, *twin_,
                  [&](const std::string& name, const Tensor& got, const Tensor& rounded) {
                    const double error = overall_error(got, exact[name]),
                                 other = overall_error(rounded, exact[name]);
                    EXPECT_LE(error, 2 * other + 0.02) << name;
                    square += error * error / 64;
                    twins += other * other / 64;
                  });
    fmt::print(
        "[  PARITY  ] gradients {}: rms relative error {:.3f}, LibTorch rounding to bf16 {:.3f}\n",
        text(GetParam()), std::sqrt(square), std::sqrt(twins));
    EXPECT_LE(std::sqrt(square), 1.25 * std::sqrt(twins));
  }

  std::unique_ptr<Rig> rig_;
  std::shared_ptr<Twin> twin_;
};

/// fp32 outputs by their worst element, bf16 ones as vectors: bf16 keeps 8 bits of every activation
/// on the way through 20 layers.
Closeness outputs_of(const NetworkCase& c, const std::string& what) {
  const std::string title = what + " " + text(c);
  if (c.precision == Precision::bf16) return Closeness(title, 0.05, overall_error);
  return Closeness(title, 1e-4);
}

TEST_P(TorchNetwork, EvaluationAndTrainingStepAgree) {
  const NetworkCase c = GetParam();
  {
    Closeness close = outputs_of(c, "evaluation");
    const Batch batch = make_batch(c.batch, c.valid, c.image, 1001);
    const torch::NoGradGuard no_gradients;
    twin_->eval();
    const Twin::Output want = twin_->forward(normalised(batch, torch::kDouble));
    const StepState& state = rig_->evaluate(batch, WeightSet::current);
    check_outputs(close, Mode::eval, batch, want);
    check_losses(close, state, losses(want, batch, fused_labels(batch)));
  }
  const Batch batch = make_batch(c.batch, c.valid, c.image, 1002);
  const Tensor target = fused_labels(batch);
  {
    Closeness labels("fused labels " + text(c), 2e-6),
        close = outputs_of(c, "training outputs"), running = outputs_of(c, "running statistics");
    const auto [want, loss] = step_twin(batch, target);
    const StepState& state = rig_->train(batch, 1, 0);
    labels.check("q", rig_->output(Mode::train, io::target, batch, kClasses), target);
    check_outputs(close, Mode::train, batch, want);
    check_losses(close, state, loss);
    check_running(running);
  }
  c.precision == Precision::bf16 ? check_bf16_gradients(batch, target)
                                 : check_gradients(batch, target);
}

INSTANTIATE_TEST_SUITE_P(
    ResNet18, TorchNetwork,
    testing::Values(NetworkCase{64, 0.25, 16, 13, 0}, NetworkCase{64, 0.25, 16, 13, 60},
                    NetworkCase{64, 0.5, 8, 8, 0}, NetworkCase{64, 0.5, 16, 13, 60},
                    NetworkCase{96, 0.25, 8, 5, 0}, NetworkCase{96, 0.25, 8, 5, 60},
                    NetworkCase{32, 0.5, 16, 11, 0}, NetworkCase{32, 1.0, 8, 8, 60},
                    NetworkCase{64, 1.0, 8, 7, 0},
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
