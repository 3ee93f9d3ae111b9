// The optimiser's and the schedule's switches, from the configuration on, beside torch::optim.
#include <cmath>
#include <numbers>
#include <random>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/trainer/schedule.h"
#include "apps/trainer/setup.h"
#include "gtest/gtest.h"
#include "kernels/cpu/adam.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

constexpr int kSteps = 40, kEpoch = 7;  // the last epoch is cut short

Config with(const std::vector<std::string>& overrides) {
  return parse_config(R"({"data": {"kind": "synthetic", "root": "f"}, "train": {"epochs": 6},
                          "optimizer": {"lr": 0.02}})",
                      "a.json", overrides);
}

/// Gradients from 1e-9 to 1e2 with exact zeros.
std::vector<float> gradients(std::size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> g;
  for (std::size_t i = 0; i < n; ++i)
    g.push_back(i % 7 == 0 ? 0 : normal(random) * std::pow(10.f, static_cast<float>(i % 12) - 9));
  return g;
}

/// Forty steps of `Optimizer` in double and of the kernel, the rate from the schedule.
template <class Optimizer, class Options>
void expect_same_steps(const Config& config, Closeness& close) {
  const Config::Optimizer& o = config.optimizer;
  const Adam op = adam_of(o);
  const Schedule schedule(config, kEpoch);
  for (const std::size_t n : {1u, 7u, 1003u}) {
    std::mt19937 random(static_cast<unsigned>(n));
    std::normal_distribution<float> normal;
    std::vector<float> w(n), m(n), v(n);
    for (float& x : w) x = normal(random);
    const auto size = static_cast<std::int64_t>(n);
    Tensor want = tensor(w, {size}).clone().requires_grad_();
    Optimizer torch_optimizer(
        std::vector<Tensor>{want},
        Options(o.lr).betas({o.beta1, o.beta2}).eps(o.eps).weight_decay(o.weight_decay));
    for (int step = 0; step < kSteps; ++step) {
      const std::vector<float> g = gradients(n, random);
      want.mutable_grad() = tensor(g, {size});
      static_cast<Options&>(torch_optimizer.param_groups()[0].options()).lr(schedule.rate(step));
      torch_optimizer.step();
      cpu::adam({w.data(), g.data(), m.data(), v.data(), nullptr}, 0, n,
                math::adam_factors<float>({schedule.rate(step), double{op.beta1}, double{op.beta2},
                                           double{op.eps}, double{op.weight_decay}, op.decoupled},
                                          step + 1));
    }
    close.check(fmt::format("{} weights", n), tensor(w, {size}), want);
  }
}

TEST(TorchOptimizer, AdamAndAdamWWithAndWithoutDecay) {
  Closeness close("optimiser", 1e-5);
  for (const char* decay : {"0", "1e-5", "0.3"})
    for (const char* eps : {"1e-8", "1e-3"})
      for (const char* beta1 : {"0.9", "0.5"}) {
        const std::vector<std::string> keys = {
            std::string("optimizer.weight_decay=") + decay, std::string("optimizer.eps=") + eps,
            std::string("optimizer.beta1=") + beta1, "schedule.step_epochs=2"};
        auto decoupled = keys;
        decoupled.emplace_back("optimizer.decoupled=true");
        expect_same_steps<torch::optim::Adam, torch::optim::AdamOptions>(with(keys), close);
        expect_same_steps<torch::optim::AdamW, torch::optim::AdamWOptions>(with(decoupled), close);
      }
}

TEST(TorchSchedule, StepIsStepLR) {
  for (const int every : {1, 2, 5})
    for (const double gamma : {0.5, 0.1, 1.0}) {
      const Config c = with(
          {fmt::format("schedule.step_epochs={}", every), fmt::format("schedule.gamma={}", gamma)});
      const Schedule ours(c, kEpoch);
      torch::optim::Adam adam({torch::zeros({1}).requires_grad_()}, c.optimizer.lr);
      torch::optim::StepLR scheduler(adam, static_cast<unsigned>(every), gamma);
      scheduler.step();  // PyTorch's constructor takes this step itself
      for (int epoch = 0; epoch < c.train.epochs; ++epoch) {
        const double want = adam.param_groups()[0].options().get_lr();
        for (int step = 0; step < kEpoch; ++step)
          EXPECT_NEAR(ours.rate(epoch * kEpoch + step), want, 1e-15);
        adam.step();
        scheduler.step();
      }
    }
}

// LibTorch has StepLR alone; CosineAnnealingLR, LinearLR and SWALR follow as PyTorch defines them:
// by recurrence, each rate from the one before.
TEST(TorchSchedule, WarmUpThenCosineIsSequentialLR) {
  for (const int warmup : {0, 1, 9})
    for (const double low : {0.0, 0.004}) {
      const Config c = with({"schedule.kind=cosine", fmt::format("schedule.min_lr={}", low),
                             fmt::format("schedule.warmup_steps={}", warmup)});
      const Schedule ours(c, kEpoch);
      const int total = c.train.epochs * kEpoch, span = total - warmup;
      double rate = warmup > 0 ? c.optimizer.lr / warmup : c.optimizer.lr;
      for (int step = 0; step < total; ++step) {
        EXPECT_NEAR(ours.rate(step), rate, 1e-14) << warmup << " " << step;
        const int t = step - warmup;  // of the cosine
        if (t < -1) {
          rate += c.optimizer.lr / warmup;
        } else if (t == -1) {
          rate = c.optimizer.lr;
        } else {
          const auto wave = [&](int at) { return 1 + std::cos(std::numbers::pi * at / span); };
          rate = low + (rate - low) * wave(t + 1) / wave(t);
        }
      }
    }
}

TEST(TorchSchedule, WarmUpBeforeStepAndConstantAndSwasRateBehindAll) {
  for (const char* kind : {"step", "constant", "cosine"}) {
    const Config c = with({std::string("schedule.kind=") + kind, "schedule.warmup_steps=5",
                           "schedule.step_epochs=2", "schedule.gamma=0.25", "swa.enabled=true",
                           "swa.start_epoch=5", "swa.lr=0.003"});
    const Schedule ours(c, kEpoch);
    for (int step = 0; step < 6 * kEpoch; ++step) {
      if (step < 5) {
        EXPECT_NEAR(ours.rate(step), 0.02 * (step + 1) / 5, 1e-16);
      } else if (step >= 4 * kEpoch) {
        EXPECT_EQ(ours.rate(step), 0.003);
      } else if (std::string(kind) != "cosine") {
        const bool dropped = std::string(kind) == "step" && step >= 2 * kEpoch;
        EXPECT_NEAR(ours.rate(step), dropped ? 0.005 : 0.02, 1e-16);
      }
    }
  }
  const Config none = with({"schedule.kind=constant", "swa.enabled=true", "swa.start_epoch=2"});
  EXPECT_EQ(Schedule(none, kEpoch).rate(3 * kEpoch), 0.02) << "swa.lr none keeps the schedule's";
  const Config off = with({"schedule.kind=constant", "swa.start_epoch=2", "swa.lr=0.003"});
  EXPECT_EQ(Schedule(off, kEpoch).rate(3 * kEpoch), 0.02) << "swa.enabled false";
}

}  // namespace
}  // namespace affuse::parity
