// Frozen epochs beside LibTorch: Adam on the heads of a backbone in evaluation mode, then a fresh
// Adam on the whole network.
#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/parity/torch/gates.h"

namespace affuse::parity {
namespace {

constexpr int kImage = 32, kBatch = 16, kFrozen = 12, kWhole = 4;
constexpr double kWidth = 0.25, kDecay = 1e-3, kRate = 1e-3;

/// The last of three is padded.
Batch batch_of(int step) {
  return make_batch(kBatch, step % 3 == 2 ? 9 : kBatch, kImage, 300 + static_cast<unsigned>(step));
}

bool is_head(const std::string& name) { return name.starts_with("fc_"); }

/// torch's usual freezing: backbone.eval() and requires_grad_(false).
void freeze(Twin& twin, bool frozen) {
  twin.train(!frozen);
  for (const auto& p : twin.named_parameters())
    if (!is_head(p.key())) p.value().requires_grad_(!frozen);
}

torch::optim::Adam adam_over(const Twin& twin, bool heads_alone) {
  std::vector<Tensor> trained;
  for (const auto& p : twin.named_parameters())
    if (!heads_alone || is_head(p.key())) trained.push_back(p.value());
  return torch::optim::Adam(
      trained, torch::optim::AdamOptions(kRate).betas({0.9, 0.999}).weight_decay(kDecay));
}

/// Gradients of the twin for a batch; returns its total loss.
double backward(Twin& twin, const Batch& batch, torch::Dtype type) {
  twin.zero_grad();
  const Tensor loss =
      losses(twin.forward(normalised(batch, type)), batch, fused_labels(batch)).total();
  loss.backward();
  return loss.item<double>();
}

class TorchHeads : public testing::TestWithParam<Precision> {};

TEST_P(TorchHeads, FollowTorchsFrozenBackboneAndThenAFreshAdam) {
  const bool bf16 = GetParam() == Precision::bf16;
  const std::string title = "frozen " + name_of(GetParam());
  Rig rig(kImage, kWidth, kBatch, GetParam(), static_cast<float>(kDecay), nullptr, true);
  // Shared: torch's modules ask for it.
  const auto held = std::make_shared<Twin>(rig.base());
  Twin& twin = *held;
  twin.randomise(21);
  twin.to(torch::kDouble);
  give(twin, rig.parameters(), external::weights);
  rig.model().parameters_changed();
  const auto start = [&] {
    std::map<std::string, std::vector<float>> values;
    const auto& params = rig.parameters().graph().params();
    for (std::size_t i = 0; i < params.size(); ++i)
      values[params[i].name] = rig.parameters().get(external::weights, static_cast<ParamId>(i));
    return values;
  };
  const auto before = start();

  freeze(twin, true);
  auto heads = adam_over(twin, true);
  // In bf16 features are folded and rounded elsewhere than torch would; what follows is the same.
  Closeness loss_close(title + ", losses", bf16 ? 0.02 : 1e-5);
  Closeness gradients(title + ", gradients", bf16 ? 0.05 : 1e-4, overall_error);
  Closeness weights(title + ", heads", bf16 ? 0.02 : 1e-4, overall_error);
  for (int step = 0; step < kFrozen; ++step) {
    const Batch batch = batch_of(step);
    const double got = rig.train(batch, step + 1, kRate, 1, Mode::heads).loss;
    loss_close.check(fmt::format("step {}", step + 1), got, backward(twin, batch, torch::kDouble));
    const auto& params = rig.parameters().graph().params();
    for (std::size_t i = 0; i < params.size(); ++i) {
      if (!is_head(params[i].name)) continue;
      const Tensor want = twin.named_parameters()[params[i].name].grad().reshape(-1);
      gradients.check(
          fmt::format("step {}, {}", step + 1, params[i].name),
          tensor(rig.parameters().get(external::gradients, static_cast<ParamId>(i)), {-1}), want);
    }
    heads.step();
  }
  const auto state = state_of(twin);
  for (const auto& [name, values] : start()) {
    if (!is_head(name)) {
      EXPECT_EQ(values, before.at(name)) << name;
      continue;
    }
    EXPECT_NE(values, before.at(name)) << name;
    weights.check(name, tensor(values, state.at(name).sizes()), state.at(name));
  }
  if (bf16) return;  // whole steps in bf16 are compared elsewhere

  freeze(twin, false);
  rig.parameters().clear(external::moment1);
  rig.parameters().clear(external::moment2);
  auto whole = adam_over(twin, false);
  Closeness later(title + ", then whole steps", 1e-3, overall_error);
  for (int step = 0; step < kWhole; ++step) {
    const Batch batch = batch_of(kFrozen + step);
    const double got = rig.train(batch, step + 1, kRate).loss;
    later.check(fmt::format("loss of step {}", step + 1), got,
                backward(twin, batch, torch::kDouble));
    settle_gates(
        rig, twin, [&] { backward(twin, batch, torch::kDouble); }, 1e-3);
    whole.step();
    for (std::size_t i = 0; i < rig.parameters().graph().params().size(); ++i) {
      const std::string& name = rig.parameters().graph().params()[i].name;
      const Tensor want = state_of(twin).at(name);
      later.check(
          fmt::format("step {}, {}", step + 1, name),
          tensor(rig.parameters().get(external::weights, static_cast<ParamId>(i)), want.sizes()),
          want);
    }
    // Beside the same weights: Adam turns gradients that are rounding into whole steps.
    take(twin, rig.parameters(), external::weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, TorchHeads, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace affuse::parity
