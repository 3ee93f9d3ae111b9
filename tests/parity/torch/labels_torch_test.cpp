// The label model and its switches (kind, trim, prior, power, components, transition, alpha,
// smoothing) beside the same formulas in LibTorch's tensors, in double.
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "data/label_model.h"
#include "data/target_model.h"
#include "engine/philox.h"
#include "gtest/gtest.h"
#include "tests/parity/torch/compare.h"

namespace affuse::parity {
namespace {

constexpr int kClasses = 5;

/// Overlapping clouds of uneven size. Some samples without class, without VA, without either.
Annotations annotations(std::size_t n, std::uint64_t seed) {
  Philox draw(seed, Purpose::test);
  Annotations a;
  for (std::size_t i = 0; i < n; ++i) {
    const auto u = static_cast<int>(draw.below(15));  // 5, 4, 3, 2, 1 of 15
    const int k = u < 5 ? 0 : u < 9 ? 1 : u < 12 ? 2 : u < 14 ? 3 : 4;
    const double v = .5 * std::cos(1.3 * k) + draw.normal(0, .2);
    const double tilt = .1 * k - .2;
    const double arousal = .5 * std::sin(1.3 * k) + tilt * v + draw.normal(0, .15);
    const bool has_va = i % 11 != 3;
    a.labels.push_back(i % 8 == 3 ? -1 : k);
    a.valence.push_back(has_va ? v : std::numeric_limits<double>::quiet_NaN());
    a.arousal.push_back(has_va ? arousal : std::numeric_limits<double>::quiet_NaN());
    a.soft.emplace_back();
    if (i % 3 == 0) a.soft.back() = {.125f, .25f, .5f, 0.f, .125f};
  }
  return a;
}

/// The annotations as tensors.
struct Data {
  Tensor x, label, has_va;

  explicit Data(const Annotations& a)
      : x(torch::stack(
            {torch::tensor(a.valence, torch::kDouble), torch::tensor(a.arousal, torch::kDouble)},
            1)),
        label(torch::tensor(std::vector<std::int64_t>(a.labels.begin(), a.labels.end()))),
        has_va(x.isfinite().all(1)) {
    x = x.nan_to_num();
  }
  Tensor points(int k) const { return x.index({(label == k).logical_and(has_va)}); }
};

/// log N(x | mu, Sigma), [N].
Tensor log_normal(const Tensor& x, const Tensor& mu, const Tensor& sigma) {
  const Tensor d = x - mu;
  return -.5 * (d.matmul(sigma.inverse()) * d).sum(1) - .5 * sigma.logdet() -
         std::log(2 * std::numbers::pi);
}

struct Fit {
  std::vector<Tensor> mu, sigma;
  Tensor pi;
};

Fit fit(const Data& data, const LabelModelOptions& o) {
  Fit out;
  std::vector<double> counts;
  for (int k = 0; k < kClasses; ++k) {
    Tensor points = data.points(k);
    counts.push_back(static_cast<double>(points.size(0)));
    if (o.trim) {
      const Tensor inside =
          ((points - points.mean(0)).abs() < *o.trim * points.std(0, /*unbiased=*/false)).all(1);
      points = points.index({inside});
    }
    out.mu.push_back(points.mean(0));
    const Tensor d = points - out.mu.back();
    out.sigma.push_back(d.t().matmul(d) / points.size(0));
  }
  out.pi = torch::tensor(counts, torch::kDouble);
  out.pi = o.prior == ClassPrior::uniform ? torch::full_like(out.pi, 1. / kClasses)
                                          : out.pi / out.pi.sum();
  return out;
}

Tensor gmm(const Data& data, const Fit& f) {
  std::vector<Tensor> score;
  for (std::size_t k = 0; k < kClasses; ++k)
    score.push_back(f.pi.log()[static_cast<std::int64_t>(k)] +
                    log_normal(data.x, f.mu[k], f.sigma[k]));
  return torch::softmax(torch::stack(score, 1), 1);
}

Tensor euclid(const Data& data, const Fit& f, int power) {
  const Tensor d = torch::cdist(data.x, torch::stack(f.mu), 2, /*compute_mode=*/2).pow(power);
  const Tensor p = d.amax(1, true) / d;
  return p / p.sum(1, true);
}

/// p(k | x, y) of the fitted mixture; y = -1: p(k | x).
Tensor noise_aware(const Data& data, const NoiseAwareMixture& m) {
  const Tensor t = torch::tensor(m.transition, torch::kDouble).reshape({kClasses, kClasses});
  std::vector<Tensor> score;
  for (std::size_t k = 0; k < kClasses; ++k) {
    std::vector<Tensor> parts;
    for (std::size_t c = 0; c < static_cast<std::size_t>(m.components); ++c) {
      const MixtureComponent& g = m.gaussians[k * static_cast<std::size_t>(m.components) + c];
      const Tensor sigma =
          torch::tensor({g.sigma.vv, g.sigma.va, g.sigma.va, g.sigma.aa}, torch::kDouble);
      parts.push_back(std::log(g.weight) +
                      log_normal(data.x, torch::tensor({g.mu.v, g.mu.a}, torch::kDouble),
                                 sigma.reshape({2, 2})));
    }
    score.push_back(torch::stack(parts, 1).logsumexp(1));
  }
  const Tensor known = (data.label >= 0).unsqueeze(1);
  const Tensor seen = t.log().index_select(0, data.label.clamp_min(0));
  return torch::softmax(torch::stack(score, 1) + torch::where(known, seen, torch::zeros_like(seen)),
                        1);
}

/// Fusion and smoothing of p [N, K], which counts where `has` is set.
Tensor labels(const Data& data, const Tensor& p, const Tensor& has, LabelKind kind, double alpha,
              double smoothing) {
  const Tensor known = data.label >= 0;
  const auto one_hot = [](const Tensor& k) {
    return torch::one_hot(k, kClasses).to(torch::kDouble);
  };
  const Tensor own = one_hot(data.label.clamp_min(0));
  const Tensor fused = kind == LabelKind::onehot ? own : alpha * own + (1 - alpha) * p;
  const Tensor alone = kind == LabelKind::onehot ? one_hot(p.argmax(1)) : p;
  const Tensor q =
      torch::where(known.unsqueeze(1), torch::where(has.unsqueeze(1), fused, own), alone);
  return (q * (1 - smoothing) + smoothing / kClasses) * known.logical_or(has).unsqueeze(1);
}

Tensor given(const Annotations& a) {
  std::vector<Tensor> rows;
  for (const auto& soft : a.soft)
    rows.push_back(soft.empty() ? torch::zeros({kClasses}, torch::kDouble)
                                : torch::tensor(soft).to(torch::kDouble));
  return torch::stack(rows);
}

/// What training_target writes, in float.
Tensor on_device(const LabelModel& model, const Annotations& a, double alpha, double smoothing) {
  const auto device = target_model(model, alpha, smoothing);
  const std::vector<float> none(kClasses);
  std::vector<float> q(a.size() * kClasses);
  for (std::size_t i = 0; i < a.size(); ++i)
    math::training_target(
        device,
        math::Annotation<float>{a.labels[i], a.has_va(i), static_cast<float>(a.valence[i]),
                                static_cast<float>(a.arousal[i]),
                                a.soft[i].empty() ? none.data() : a.soft[i].data()},
        q.data() + i * kClasses);
  return torch::tensor(q);
}

/// Statistics, and labels in double and float, under these options.
void expect_agreement(const LabelModelOptions& options) {
  const std::string title = fmt::format(
      "labels {}, trim {}, {} prior, power {}, {} components, {} noise", name_of(options.kind),
      options.trim.value_or(0), options.prior == ClassPrior::uniform ? "uniform" : "empirical",
      options.euclid_power, options.components, name_of(options.noise));
  Closeness exact(title, 1e-12), single(title + ", float", 1e-5);
  for (const std::size_t n : {1001u, 457u}) {
    const Annotations a = annotations(n, n);
    const Data data(a);
    const LabelModel model = fit_label_model(a, kClasses, options);
    const Fit f = fit(data, options);
    for (std::size_t k = 0; k < kClasses; ++k) {
      const Covariance& s = model.sigma[k];
      exact.check("mean", torch::tensor({model.mu[k].v, model.mu[k].a}, torch::kDouble), f.mu[k]);
      exact.check("covariance", torch::tensor({s.vv, s.va, s.va, s.aa}, torch::kDouble),
                  f.sigma[k]);
    }
    exact.check("prior", torch::tensor(model.pi, torch::kDouble), f.pi);
    Tensor p = gmm(data, f), has = data.has_va;
    if (options.kind == LabelKind::euclid) p = euclid(data, f, options.euclid_power);
    if (options.kind == LabelKind::noise_aware) p = noise_aware(data, model.noise_aware);
    if (options.kind == LabelKind::given) {
      p = given(a);
      has = p.sum(1) > 0;
    }
    for (const double alpha : {0., .3, 1.})
      for (const double smoothing : {0., .1}) {
        const Tensor want = labels(data, p, has, options.kind, alpha, smoothing);
        const std::string what = fmt::format("{} samples, alpha {}, s {}", n, alpha, smoothing);
        exact.check(what, torch::tensor(soft_labels(model, a, alpha, smoothing).p, torch::kDouble),
                    want);
        single.check(what, on_device(model, a, alpha, smoothing), want);
      }
  }
}

LabelModelOptions options(LabelKind kind) {
  LabelModelOptions o;
  o.kind = kind;
  return o;
}

TEST(TorchLabels, EveryKindAndTrim) {
  for (const LabelKind kind :
       {LabelKind::gmm, LabelKind::euclid, LabelKind::onehot, LabelKind::given})
    for (const std::optional<double> trim : {std::optional(1.0), std::optional(1.7), {}}) {
      LabelModelOptions o = options(kind);
      o.trim = trim;
      expect_agreement(o);
    }
}

TEST(TorchLabels, EveryPriorAndPower) {
  LabelModelOptions uniform = options(LabelKind::gmm);
  uniform.prior = ClassPrior::uniform;
  expect_agreement(uniform);
  LabelModelOptions distance = options(LabelKind::euclid);
  distance.euclid_power = 1;
  expect_agreement(distance);
}

TEST(TorchLabels, NoiseAwareOfEverySizeAndTransition) {
  for (const int components : {1, 3, 5})
    for (const NoiseMatrix noise : {NoiseMatrix::symmetric, NoiseMatrix::full}) {
      LabelModelOptions o = options(LabelKind::noise_aware);
      o.components = components;
      o.noise = noise;
      o.max_rounds = 20;  // the posterior is compared, not where EM ends
      expect_agreement(o);
    }
}

}  // namespace
}  // namespace affuse::parity
