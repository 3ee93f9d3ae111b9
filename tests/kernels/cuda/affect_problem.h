// Label models and batches for the tests of label and loss kernels, and the same in double.
#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "kernels/cuda/affect_loss.h"
#include "tests/kernels/cuda/memory.h"

namespace affuse::testing_affect {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr int kComponents = 3;

inline std::size_t elements(int n, int width) {
  return static_cast<std::size_t>(n) * static_cast<std::size_t>(width);
}

template <class To, class From>
math::Gaussian<To> cast(const math::Gaussian<From>& g) {
  return {To(g.mu_v), To(g.mu_a), To(g.w11), To(g.w21), To(g.w22), To(g.log_scale)};
}

/// The same model in double: the float parameters widened.
inline std::unique_ptr<math::TargetModel<double>> in_double(const math::TargetModel<float>& m) {
  auto out = std::make_unique<math::TargetModel<double>>();
  out->kind = m.kind;
  out->classes = out->gmm.classes = out->euclid.classes = out->noise_aware.classes = m.classes;
  out->knows_va = m.knows_va;
  out->alpha = double{m.alpha};
  out->smoothing = double{m.smoothing};
  out->euclid.power = m.euclid.power;
  out->noise_aware.components = m.noise_aware.components;
  for (int k = 0; k < m.classes; ++k) {
    out->gmm.gaussian[k] = cast<double>(m.gmm.gaussian[k]);
    out->euclid.mu_v[k] = double{m.euclid.mu_v[k]};
    out->euclid.mu_a[k] = double{m.euclid.mu_a[k]};
    out->euclid.present[k] = m.euclid.present[k];
  }
  for (int i = 0; i < m.classes * m.noise_aware.components; ++i)
    out->noise_aware.gaussian[i] = cast<double>(m.noise_aware.gaussian[i]);
  for (int i = 0; i < m.classes * m.classes; ++i)
    out->noise_aware.log_t[i] = double{m.noise_aware.log_t[i]};
  return out;
}

/// Random Gaussians, centroids and a noise matrix of `classes`; class 1 of three or more has no
/// point, class 2 of four or more stands on one sample.
inline std::unique_ptr<math::TargetModel<float>> make_model(math::TargetKind kind, int classes,
                                                            std::mt19937& g) {
  std::uniform_real_distribution<float> unit(-1, 1), spread(.15f, .5f), share(.1f, 1);
  auto m = std::make_unique<math::TargetModel<float>>();
  m->kind = kind;
  m->classes = m->gmm.classes = m->euclid.classes = m->noise_aware.classes = classes;
  m->knows_va = true;
  m->alpha = .3f;
  m->euclid.power = 1 + classes % 2;
  m->noise_aware.components = kComponents;
  const auto gaussian = [&](int k, float v, float a) {
    const bool absent = classes > 2 && k == 1, single = classes > 3 && k == 2;
    const float sv = single ? 1e-3f : spread(g), sa = single ? 1e-3f : spread(g);
    return math::make_gaussian<float>(absent ? 0.f : share(g), v, a, sv * sv,
                                      unit(g) * .8f * sv * sa, sa * sa);
  };
  for (int k = 0; k < classes; ++k) {
    m->euclid.present[k] = !(classes > 2 && k == 1);
    m->euclid.mu_v[k] = unit(g);
    m->euclid.mu_a[k] = unit(g);
    m->gmm.gaussian[k] = gaussian(k, m->euclid.mu_v[k], m->euclid.mu_a[k]);
    for (int c = 0; c < kComponents; ++c)
      m->noise_aware.gaussian[k * kComponents + c] = gaussian(k, unit(g), unit(g));
    for (int y = 0; y < classes; ++y) {
      const float t = classes == 1 ? 1 : y == k ? .8f : .2f / static_cast<float>(classes - 1);
      m->noise_aware.log_t[y * classes + k] = std::log(t);
    }
  }
  return m;
}

/// A batch with its settings; rows from state->valid on have annotations, but NaN predictions.
struct AffectProblem {
  int n, classes;
  std::unique_ptr<math::TargetModel<float>> model;
  std::unique_ptr<math::LossSettings> settings;
  StepState state;
  DeviceVector<float> logits, va_hat, va, given;
  DeviceVector<std::int32_t> label;
  DeviceVector<std::uint8_t> has_va;
};

/// Every fifth sample has no class, every third no VA, every seventh no given distribution.
inline AffectProblem make_problem(int n, int valid, int classes, math::TargetKind kind,
                                  math::ClassWeightMode mode) {
  std::mt19937 g(static_cast<unsigned>(n * 100 + classes));
  std::normal_distribution<float> normal(0, 4);
  std::uniform_real_distribution<float> unit(-1, 1);
  AffectProblem p;
  p.n = n;
  p.classes = classes;
  p.model = make_model(kind, classes, g);
  p.settings = std::make_unique<math::LossSettings>(math::LossSettings{
      .coef_ce = 1.5f, .coef_cs = 0.5f, .coef_l2 = 2, .mode = mode, .classes = classes});
  for (int k = 0; k < classes; ++k) p.settings->class_weight[k] = 1 + 3 * std::abs(unit(g));
  p.state.valid = valid;
  p.state.found_inf = 1;  // of the step before
  p.state.loss = p.state.loss_ce = p.state.loss_cs = p.state.loss_l2 = double{kNan};
  for (DeviceVector<float>* rows : {&p.logits, &p.given}) rows->resize(elements(n, classes));
  for (DeviceVector<float>* rows : {&p.va_hat, &p.va}) rows->resize(elements(n, 2));
  p.label.resize(elements(n, 1));
  p.has_va.resize(elements(n, 1));
  for (int i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const bool real = i < valid;
    p.label[row] = i % 5 == 4 ? -1 : i % classes;
    p.has_va[row] = i % 3 != 2;
    float sum = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(classes); ++k) {
      const std::size_t at = row * static_cast<std::size_t>(classes) + k;
      p.logits[at] = real ? normal(g) : kNan;
      sum += p.given[at] = i % 7 == 3 ? 0 : std::abs(unit(g));
    }
    for (std::size_t k = 0; sum > 0 && k < static_cast<std::size_t>(classes); ++k)
      p.given[row * static_cast<std::size_t>(classes) + k] /= sum;
    for (std::size_t j = 2 * row; j < 2 * row + 2; ++j) {
      p.va[j] = i % 3 != 2 ? unit(g) : kNan;
      p.va_hat[j] = real ? unit(g) : kNan;
    }
  }
  return p;
}

inline std::vector<double> widened(const float* x, int count) { return {x, x + count}; }

/// training_target of one row in double.
inline std::vector<double> reference_target(const AffectProblem& p,
                                            const math::TargetModel<double>& model, int row) {
  const auto i = static_cast<std::size_t>(row);
  const auto given = widened(&p.given[i * static_cast<std::size_t>(p.classes)], p.classes);
  std::vector<double> q(static_cast<std::size_t>(p.classes));
  math::training_target<double>(
      model,
      {p.label[i], p.has_va[i] != 0, double{p.va[2 * i]}, double{p.va[2 * i + 1]}, given.data()},
      q.data());
  return q;
}

/// The largest |got - want|; infinite where one alone is not finite, or they are infinite apart.
template <class Got, class Want>
double largest_error(const Got* got, const Want* want, std::size_t count) {
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double g = double{got[i]}, w = double{want[i]};
    const bool same = g == w || (std::isnan(g) && std::isnan(w));
    const double error = same ? 0 : std::abs(g - w);
    worst = std::isnan(error) ? double{kInf} : std::max(worst, error);
    if (std::isinf(worst)) return worst;
  }
  return worst;
}

/// The same bits, NaN included.
template <class Vector>
bool same_bits(const Vector& a, const Vector& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0);
}

struct AffectResult {
  DeviceVector<float> target, probability, terms, d_logits, d_va;
  StepState state;

  bool operator==(const AffectResult& o) const {
    return same_bits(target, o.target) && same_bits(probability, o.probability) &&
           same_bits(terms, o.terms) && same_bits(d_logits, o.d_logits) &&
           same_bits(d_va, o.d_va) && state.found_inf == o.state.found_inf &&
           same_bits(losses(), o.losses());
  }
  std::vector<double> losses() const {
    return {state.loss, state.loss_ce, state.loss_cs, state.loss_l2};
  }
};

/// The fused kernels on p, into arrays of NaN.
inline AffectResult run(const AffectProblem& p) {
  const std::size_t rows = elements(p.n, p.classes), pairs = elements(p.n, 2);
  AffectResult r{DeviceVector<float>(rows, kNan),
                 DeviceVector<float>(rows, kNan),
                 DeviceVector<float>(elements(p.n, 3), kNan),
                 DeviceVector<float>(rows, kNan),
                 DeviceVector<float>(pairs, kNan),
                 {}};
  const DeviceValue<math::TargetModel<float>> model(*p.model);
  const DeviceValue<math::LossSettings> settings(*p.settings);
  DeviceValue<StepState> state(p.state);
  AFFUSE_CUDA_NAMESPACE::affect_loss({.model = model.get(),
                                      .settings = settings.get(),
                                      .n = p.n,
                                      .classes = p.classes,
                                      .logits = p.logits.data(),
                                      .va_hat = p.va_hat.data(),
                                      .label = p.label.data(),
                                      .va = p.va.data(),
                                      .has_va = p.has_va.data(),
                                      .given = p.given.data(),
                                      .target = r.target.data(),
                                      .probability = r.probability.data(),
                                      .terms = r.terms.data(),
                                      .d_logits = r.d_logits.data(),
                                      .d_va = r.d_va.data(),
                                      .state = state.get()},
                                     nullptr);
  r.state = *state;
  return r;
}

}  // namespace affuse::testing_affect
