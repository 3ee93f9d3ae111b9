// The batch kernels of Eq. 6-9 with every switch of the loss beside LibTorch's functions, and their
// gradients beside its autograd, in double.
#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>

#include "gtest/gtest.h"
#include "kernels/cpu/affect_loss.h"
#include "kernels/math/targets.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

namespace F = torch::nn::functional;
using math::ClassWeightMode;

/// A batch with its labels before smoothing; the last `n - valid` rows are padding.
struct Problem {
  int n, valid, classes;
  double smoothing;
  math::LossSettings settings;
  std::vector<float> logits, va_hat, sharp, va;
  std::vector<std::int32_t> label;
  std::vector<std::uint8_t> has_va;

  Tensor rows(const std::vector<float>& x, int width) const {
    return tensor(x, {n, width}).narrow(0, 0, valid);
  }
};

Problem make_problem(int n, int valid, int classes, ClassWeightMode mode, double smoothing,
                     float gamma) {
  std::mt19937 g(static_cast<unsigned>(n * 100 + classes));
  std::normal_distribution<float> normal(0, 4);
  std::uniform_real_distribution<float> unit(-1, 1);
  Problem p{n, valid, classes, smoothing, {}, {}, {}, {}, {}, {}, {}};
  p.settings = {.coef_ce = 1.5f,
                .coef_cs = 0.75f,
                .coef_l2 = 0.5f,
                .mode = mode,
                .weighted_l2 = (n + classes) % 2 == 0,
                .focal_gamma = gamma,
                .classes = classes};
  for (int k = 0; k < classes; ++k) p.settings.class_weight[k] = 1 + 3 * std::abs(unit(g));
  for (int i = 0; i < n; ++i) {
    std::vector<float> q;
    for (int k = 0; k < classes; ++k) {
      p.logits.push_back(normal(g));
      q.push_back(i % 4 == 1 ? static_cast<float>(k == i % classes) : std::abs(unit(g)));
    }
    float sum = 0;
    for (const float x : q) sum += x;
    for (const float x : q) p.sharp.push_back(x / sum);
    p.label.push_back(i % 5 == 4 ? -1 : i % classes);
    p.has_va.push_back(i % 3 != 2);
    for (int j = 0; j < 2; ++j) {
      p.va.push_back(i % 3 != 2 ? unit(g) : std::numeric_limits<float>::quiet_NaN());
      p.va_hat.push_back(unit(g));
    }
  }
  return p;
}

/// LibTorch's losses of the valid samples, a value a sample, and the leaves of their gradients.
struct Torch {
  Tensor logits, va_hat, ce, cs, l2;

  explicit Torch(const Problem& p)
      : logits(p.rows(p.logits, p.classes).clone().requires_grad_()),
        va_hat(p.rows(p.va_hat, 2).clone().requires_grad_()) {
    const math::LossSettings& s = p.settings;
    const Tensor sharp = p.rows(p.sharp, p.classes);
    const Tensor q = sharp * (1 - p.smoothing) + p.smoothing / p.classes;
    const Tensor w =
        tensor(std::vector<float>(s.class_weight, s.class_weight + p.classes), {p.classes});
    const Tensor weight = weights(p, q, w);
    const Tensor log_p = F::log_softmax(logits, F::LogSoftmaxFuncOptions(1)), prob = log_p.exp();
    if (s.focal_gamma > 0) {
      const Tensor a = s.mode == ClassWeightMode::per_class ? q * w : q * weight.unsqueeze(1);
      ce = -(a * (1 - prob).pow(double{s.focal_gamma}) * log_p).sum(1);
    } else {
      auto options =
          F::CrossEntropyFuncOptions().label_smoothing(p.smoothing).reduction(torch::kNone);
      if (s.mode == ClassWeightMode::per_class) options.weight(w);
      ce = F::cross_entropy(logits, sharp, options);
      if (s.mode != ClassWeightMode::per_class) ce = weight * ce;
    }
    cs = weight * (1 - F::cosine_similarity(q, prob, F::CosineSimilarityFuncOptions().dim(1)));
    const Tensor known = torch::tensor(std::vector<float>(p.has_va.begin(), p.has_va.end()))
                             .narrow(0, 0, p.valid)
                             .to(torch::kDouble);
    const Tensor va = p.rows(p.va, 2).nan_to_num();
    l2 = (s.weighted_l2 ? weight : torch::ones_like(weight)) * known *
         F::mse_loss(va_hat, va, F::MSELossFuncOptions(torch::kNone)).sum(1);
  }

  Tensor mean(const math::LossSettings& s) const {
    return (double{s.coef_ce} * ce + double{s.coef_cs} * cs + double{s.coef_l2} * l2).mean();
  }

 private:
  static Tensor weights(const Problem& p, const Tensor& q, const Tensor& w) {
    if (p.settings.mode == ClassWeightMode::none) return torch::ones({p.valid}, torch::kDouble);
    if (p.settings.mode == ClassWeightMode::soft) return q.matmul(w);
    const Tensor label = torch::tensor(std::vector<std::int64_t>(p.label.begin(), p.label.end()))
                             .narrow(0, 0, p.valid);
    return w.index_select(0, torch::where(label >= 0, label, q.argmax(1)));
  }
};

struct Ours {
  Tensor ce, cs, l2, d_logits, d_va;
  cpu::BatchLoss mean{};
};

Ours run(const Problem& p) {
  std::vector<float> q = p.sharp, d_logits(q.size()), d_va(p.va.size()), prob(q.size()),
                     terms(static_cast<std::size_t>(p.n) * 3);
  for (int i = 0; i < p.n; ++i)
    math::smooth(static_cast<float>(p.smoothing), p.classes, q.data() + i * p.classes);
  Ours out;
  out.mean = cpu::affect_loss_forward_backward(
      p.settings, p.logits.data(), p.va_hat.data(),
      {q.data(), p.label.data(), p.va.data(), p.has_va.data()}, p.n, p.valid,
      {d_logits.data(), d_va.data(), terms.data(), prob.data()}, 1);
  const Tensor t = p.rows(terms, 3);
  out.ce = t.select(1, 0);
  out.cs = t.select(1, 1);
  out.l2 = t.select(1, 2);
  out.d_logits = p.rows(d_logits, p.classes);
  out.d_va = p.rows(d_va, 2);
  return out;
}

struct Switches {
  double smoothing;
  float gamma;
};

class TorchLoss : public testing::TestWithParam<Switches> {};

TEST_P(TorchLoss, TermsAndGradientsAgree) {
  const auto [smoothing, gamma] = GetParam();
  Closeness close(fmt::format("losses, smoothing {}, gamma {}", smoothing, gamma), 1e-5);
  using enum ClassWeightMode;
  for (const ClassWeightMode mode : {sample, per_class, soft, none})
    for (const int classes : {2, 3, 7, 8, 31})
      for (const auto& [n, valid] : {std::pair{1, 1}, {13, 13}, {67, 41}}) {
        const Problem p = make_problem(n, valid, classes, mode, smoothing, gamma);
        const std::string of =
            fmt::format(" of {} x {}, mode {}", valid, classes, static_cast<int>(mode));
        const Torch want(p);
        want.mean(p.settings).backward();
        const Ours got = run(p);
        close.check("L_CE" + of, got.ce, want.ce);
        close.check("L_CS" + of, got.cs, want.cs);
        close.check("L_2" + of, got.l2, want.l2);
        close.check("gradient of logits" + of, got.d_logits, want.logits.grad());
        close.check("gradient of va" + of, got.d_va, want.va_hat.grad());
        close.check("L" + of, got.mean.total(p.settings), want.mean(p.settings).item<double>());
      }
}

INSTANTIATE_TEST_SUITE_P(Switches, TorchLoss,
                         testing::Values(Switches{0, 0}, Switches{0.1, 0}, Switches{0.6, 0},
                                         Switches{0, 0.5f}, Switches{0, 2}, Switches{0.1, 5}),
                         [](const auto& test) {
                           return fmt::format("smoothing{:.0f}gamma{:.0f}",
                                              100 * test.param.smoothing, 10 * test.param.gamma);
                         });

}  // namespace
}  // namespace affuse::parity
