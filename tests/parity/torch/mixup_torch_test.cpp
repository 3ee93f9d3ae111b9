// A training step with mixup beside LibTorch: images blended by tensors, the criterion of Zhang et
// al.'s code, lam L(y_a) + (1 - lam) L(y_b), differentiated by autograd.
#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/parity/torch/gates.h"

namespace affuse::parity {
namespace {

/// The valid rows in reverse, as a batch of their annotations alone.
Batch reversed(const Batch& b) {
  Batch out{b.valid, b.valid, b.image, {}, {}, {}, {}};
  for (int i = b.valid - 1; i >= 0; --i) {
    const auto n = static_cast<std::size_t>(i);
    out.label.push_back(b.label[n]);
    out.has_va.push_back(b.has_va[n]);
    out.va.insert(out.va.end(), {b.va[2 * n], b.va[2 * n + 1]});
  }
  return out;
}

struct MixupCase {
  int image;
  double width;
  int batch, valid;
  float share;
};

std::string text(const MixupCase& c) {
  return fmt::format("mixup {} {}x{} width {} batch {} of {}", c.share, c.image, c.image, c.width,
                     c.valid, c.batch);
}

void PrintTo(const MixupCase& c, std::ostream* out) { *out << text(c); }

class TorchMixup : public testing::TestWithParam<MixupCase> {};

TEST_P(TorchMixup, TrainingStepAgrees) {
  const MixupCase c = GetParam();
  Rig rig(c.image, c.width, c.batch, Precision::fp32, 0, nullptr, false, true);
  Twin twin(rig.base());
  twin.to(torch::kDouble);
  twin.randomise(5);
  give(twin, rig.parameters(), external::weights);
  take(twin, rig.parameters(), external::weights);  // as fp32 holds them
  rig.model().parameters_changed();

  const Batch batch = make_batch(c.batch, c.valid, c.image, 1003), partners = reversed(batch);
  const Tensor own = normalised(batch, torch::kDouble), target = fused_labels(batch);
  const double m = double{c.share};
  const Tensor images = m * own + (1 - m) * own.flip(0);
  Losses loss;
  const auto step = [&] {
    twin.train();
    twin.zero_grad();
    const Twin::Output out = twin.forward(images);
    const Losses a = losses(out, batch, target), b = losses(out, partners, target.flip(0));
    loss = {m * a.ce + (1 - m) * b.ce, m * a.cs + (1 - m) * b.cs, m * a.l2 + (1 - m) * b.l2};
    loss.total().backward();
  };
  step();
  rig.model().plan(Mode::train).state().mix = c.share;
  const StepState got = rig.train(batch, 1, 0);
  {
    Closeness close("losses " + text(c), 1e-4);
    close.check("L_CE", got.loss_ce, loss.ce.item<double>());
    close.check("L_CS", got.loss_cs, loss.cs.item<double>());
    close.check("L_2", got.loss_l2, loss.l2.item<double>());
    close.check("L", got.loss, loss.total().item<double>());
  }
  constexpr double tolerance = 1e-4;
  settle_gates(rig, twin, step, tolerance);
  Closeness close("gradients " + text(c), tolerance);
  for_gradients(rig, twin, [&](const std::string& name, const Tensor& mine, const Tensor& want) {
    close.check(name, mine, want);
  });
}

INSTANTIATE_TEST_SUITE_P(ResNet18, TorchMixup,
                         testing::Values(MixupCase{64, 0.25, 16, 13, 0.3f},
                                         MixupCase{64, 0.25, 8, 8, 0.85f},
                                         MixupCase{32, 0.5, 16, 11, 0.5f}),
                         [](const auto& test) {
                           return fmt::format("share{}_batch{}of{}",
                                              static_cast<int>(100 * test.param.share + 0.5f),
                                              test.param.valid, test.param.batch);
                         });

}  // namespace
}  // namespace affuse::parity
