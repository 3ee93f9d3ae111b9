// Thirty training steps beside LibTorch, and weight averaging with its pass for batch norm.
#include <cmath>
#include <cstring>
#include <numbers>

#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/parity/torch/gates.h"

namespace affuse::parity {
namespace {

constexpr int kImage = 64, kBatch = 32;

/// Warm-up over 5 steps, then a cosine to 0 behind step 30 (steps from 0).
double rate(int step) {
  constexpr double peak = 1e-4;
  if (step < 5) return peak * (step + 1) / 5;
  return peak * (1 + std::cos(std::numbers::pi * (step - 5) / 25.0)) / 2;
}

/// Four batches in turn; the last is padded.
Batch batch_of(int step) {
  const int turn = step % 4;
  return make_batch(kBatch, turn == 3 ? 21 : kBatch, kImage, 100 + static_cast<unsigned>(turn));
}

/// LibTorch with its default convolutions for the length of a test: single ones are compared
/// elsewhere, and here they save minutes.
class DefaultConvolutions {
 public:
  DefaultConvolutions() { at::globalContext().setUserEnabledMkldnn(true); }
  ~DefaultConvolutions() { at::globalContext().setUserEnabledMkldnn(false); }
  DefaultConvolutions(const DefaultConvolutions&) = delete;
  DefaultConvolutions& operator=(const DefaultConvolutions&) = delete;
};

/// After `before` steps of our own.
void train_beside(double width, int before) {
  const DefaultConvolutions fast;
  constexpr double weight_decay = 1e-5;
  Rig rig(kImage, width, kBatch, Precision::fp32, static_cast<float>(weight_decay));
  rig.parameters().initialise(11);
  rig.model().parameters_changed();
  for (int step = 0; step < before; ++step)
    rig.train(make_batch(kBatch, kBatch, kImage, 500 + static_cast<unsigned>(step)), step + 1,
              1e-3 * std::min(1.0, (before - step) / 20.0));
  for (const char* moment : {external::moment1, external::moment2})
    std::memset(rig.parameters().data(moment), 0, rig.parameters().bytes(moment));
  Twin twin(rig.base());
  take(twin, rig.parameters(), external::weights);
  torch::optim::Adam adam(
      twin.parameters(),
      torch::optim::AdamOptions(1).betas({0.9, 0.999}).eps(1e-8).weight_decay(weight_decay));

  Closeness close(fmt::format("30 steps from {} weights", before > 0 ? "trained" : "random"), 1e-3);
  std::size_t flipped = 0;
  for (int step = 0; step < 30; ++step) {
    const Batch batch = batch_of(step);
    const Tensor images = normalised(batch, torch::kFloat), target = fused_labels(batch);
    const auto compute = [&] {
      adam.zero_grad();
      const Losses loss = losses(twin.forward(images), batch, target);
      loss.total().backward();
      return loss;
    };
    twin.arithmetic.flipped.clear();
    const Losses want = compute();
    const StepState got = rig.train(batch, step + 1, rate(step));
    // One ReLU on the other side of 0 sends the trajectories apart: 1e-3 in L_2 ten steps later,
    // between LibTorch's own fp32 and fp64 too.
    flipped += settle_gates(rig, twin, compute, 1e-3).flipped;
    static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options()).lr(rate(step));
    adam.step();

    close.check(fmt::format("L_CE of step {}", step), got.loss_ce, want.ce.item<double>());
    close.check(fmt::format("L_CS of step {}", step), got.loss_cs, want.cs.item<double>());
    close.check(fmt::format("L_2 of step {}", step), got.loss_l2, want.l2.item<double>());
    if (step % 29 == 0)
      fmt::print("[  PARITY  ] step {}: L_CE {:.4f} L_CS {:.4f} L_2 {:.4f}\n", step, got.loss_ce,
                 got.loss_cs, got.loss_l2);
  }
  fmt::print("[  PARITY  ] {} pre-activations within rounding of 0 taken on our side\n", flipped);
}

TEST(TorchTraining, ThirtyStepsFollowFromRandomWeights) { train_beside(0.25, 0); }
TEST(TorchTraining, ThirtyStepsFollowFromTrainedWeights) { train_beside(0.25, 60); }

/// torch.optim.swa_utils.AveragedModel.update_parameters: p + (w - p) / (n + 1); the first copies.
void update_average(Twin& average, Twin& model, int n) {
  const torch::NoGradGuard no_gradients;
  const auto weights = model.named_parameters();
  for (auto& p : average.named_parameters()) {
    Tensor to = p.value();
    const Tensor w = weights[p.key()];
    n == 0 ? to.copy_(w) : to.add_((w - to) / (n + 1));
  }
}

/// torch.optim.swa_utils.update_bn: statistics reset, cumulative average (momentum None) over one
/// pass in training mode.
void update_bn(Twin& average, const std::vector<Batch>& batches) {
  const torch::NoGradGuard no_gradients;
  average.reset_running_statistics();
  average.set_momentum(std::nullopt);
  average.train();
  for (const Batch& b : batches) average.forward(normalised(b, torch::kDouble));
  average.set_momentum(0.1);
}

class TorchAveraging : public testing::TestWithParam<Precision> {};

TEST_P(TorchAveraging, AverageAndItsStatisticsAgree) {
  const bool bf16 = GetParam() == Precision::bf16;
  const std::string title = "SWA " + name_of(GetParam());
  Closeness weights(title + " weights", 1e-6);
  Closeness running(title + " statistics", bf16 ? 0.02 : 1e-5, overall_error);
  Closeness outputs(title + " evaluation", bf16 ? 0.05 : 1e-4, overall_error);
  Rig rig(kImage, 0.25, kBatch, GetParam());
  rig.parameters().initialise(13);
  rig.model().parameters_changed();
  const auto first = std::make_shared<Twin>(rig.base()),
             second = std::make_shared<Twin>(rig.base());
  Twin &snapshot = *first, &average = *second;
  snapshot.to(torch::kDouble);
  average.to(torch::kDouble);

  int averaged = 0;
  for (int step = 0; step < 25; ++step) {
    rig.train(batch_of(step), step + 1, 1e-3);
    if (step % 5 != 4) continue;
    Plan& plan = rig.model().plan(Mode::average);
    plan.state().averaged = averaged;
    plan.run();
    take(snapshot, rig.parameters(), external::weights);
    update_average(average, snapshot, averaged++);
  }

  const std::vector<Batch> pass = {batch_of(0), batch_of(1), batch_of(2), batch_of(3)};
  Plan& statistics = rig.model().plan(Mode::statistics);
  statistics.use(WeightSet::average);
  for (std::size_t i = 0; i < pass.size(); ++i) {
    statistics.state().bn_momentum = 1.f / static_cast<float>(i + 1);
    upload(statistics, pass[i]);
    statistics.run();
  }
  update_bn(average, pass);

  const auto state = state_of(average);
  const auto& params = rig.parameters().graph().params();
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Tensor want = state.at(params[i].name);
    const auto got = rig.parameters().get(external::average, static_cast<ParamId>(i));
    (params[i].trainable() ? weights : running)
        .check(params[i].name, tensor(got, want.sizes()), want);
  }

  const torch::NoGradGuard no_gradients;
  average.eval();
  const Batch batch = make_batch(kBatch, 29, kImage, 7);
  const Twin::Output want = average.forward(normalised(batch, torch::kDouble));
  rig.evaluate(batch, WeightSet::average);
  outputs.check("logits", rig.output(Mode::eval, io::logits, batch, kClasses), want.logits);
  outputs.check("va", rig.output(Mode::eval, io::va_out, batch, 2), want.va);
}

INSTANTIATE_TEST_SUITE_P(Precisions, TorchAveraging,
                         testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace affuse::parity
