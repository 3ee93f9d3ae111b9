// The label model at work: its parameters for kernels/math, and the soft labels of a set.
#include "data/label_model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/math/targets.h"

namespace affuse {
namespace {

constexpr std::array kKinds{LabelKind::gmm, LabelKind::euclid, LabelKind::noise_aware,
                            LabelKind::onehot, LabelKind::given};

bool knows_va(const LabelModel& model) {
  return std::any_of(model.pi.begin(), model.pi.end(), [](double pi) { return pi > 0; });
}

}  // namespace

std::string_view name_of(LabelKind kind) {
  switch (kind) {
    case LabelKind::gmm:
      return "gmm";
    case LabelKind::euclid:
      return "euclid";
    case LabelKind::noise_aware:
      return "noise_aware";
    case LabelKind::onehot:
      return "onehot";
    case LabelKind::given:
      return "given";
  }
  return "?";
}

std::string_view name_of(NoiseMatrix matrix) {
  return matrix == NoiseMatrix::symmetric ? "symmetric" : "full";
}

LabelKind label_kind_of(std::string_view name) {
  for (const LabelKind kind : kKinds) {
    if (name == name_of(kind)) return kind;
  }
  throw ConfigError(fmt::format(
      "label_model.kind: unknown kind '{}'; one of gmm, euclid, noise_aware, onehot, given", name));
}

double default_alpha(LabelKind kind) { return kind == LabelKind::noise_aware ? 0.0 : 0.5; }

Annotations annotations_of(const Manifest& manifest) {
  Annotations data;
  for (const Sample& s : manifest.samples) {
    data.labels.push_back(s.label);
    data.valence.push_back(s.valence);
    data.arousal.push_back(s.arousal);
    data.soft.push_back(s.soft);
  }
  return data;
}

math::GmmParams<double> LabelModel::gmm_params() const {
  math::GmmParams<double> params{};
  params.classes = classes();
  for (std::size_t k = 0; k < pi.size(); ++k) {
    params.gaussian[k] =
        math::make_gaussian(pi[k], mu[k].v, mu[k].a, sigma[k].vv, sigma[k].va, sigma[k].aa);
  }
  return params;
}

math::EuclidParams<double> LabelModel::euclid_params() const {
  math::EuclidParams<double> params{};
  params.classes = classes();
  params.power = options.euclid_power;
  for (std::size_t k = 0; k < pi.size(); ++k) {
    params.mu_v[k] = mu[k].v;
    params.mu_a[k] = mu[k].a;
    params.present[k] = pi[k] > 0;
  }
  return params;
}

math::NoiseAwareParams<double> LabelModel::noise_aware_params() const {
  if (noise_aware.components == 0) {
    throw Error(
        "label model: the noise-aware mixture was not fitted; use label_model.kind = "
        "noise_aware");
  }
  math::NoiseAwareParams<double> params{};
  params.classes = classes();
  params.components = noise_aware.components;
  for (std::size_t i = 0; i < noise_aware.gaussians.size(); ++i) {
    const MixtureComponent& m = noise_aware.gaussians[i];
    params.gaussian[i] =
        math::make_gaussian(m.weight, m.mu.v, m.mu.a, m.sigma.vv, m.sigma.va, m.sigma.aa);
  }
  for (std::size_t i = 0; i < noise_aware.transition.size(); ++i) {
    const double t = noise_aware.transition[i];
    params.log_t[i] = t > 0 ? std::log(t) : math::kLogZero;
  }
  return params;
}

LabelPosterior::LabelPosterior(const LabelModel& model, LabelKind kind)
    : kind_(kind), classes_(static_cast<std::size_t>(model.classes())), knows_va_(knows_va(model)) {
  gmm_ = model.gmm_params();
  euclid_ = model.euclid_params();
  if (kind == LabelKind::noise_aware && knows_va_) noise_aware_ = model.noise_aware_params();
}

std::vector<double> LabelPosterior::operator()(const Annotations& data, std::size_t i) const {
  if (data.labels[i] >= static_cast<int>(classes_)) {
    throw DataError(fmt::format("sample {}: class {} of {} classes", i, data.labels[i], classes_));
  }
  if (kind_ == LabelKind::given) {
    if (data.soft.empty() || data.soft[i].empty()) return {};
    if (data.soft[i].size() != classes_) {
      throw DataError(fmt::format("sample {}: {} given probabilities for {} classes", i,
                                  data.soft[i].size(), classes_));
    }
    return {data.soft[i].begin(), data.soft[i].end()};
  }
  if (!data.has_va(i) || !knows_va_) return {};
  const double v = data.valence[i], a = data.arousal[i];
  std::vector<double> p(classes_);
  if (kind_ == LabelKind::euclid) {
    math::euclid_posterior(euclid_, v, a, p.data());
  } else if (kind_ == LabelKind::noise_aware) {
    math::noise_aware_posterior(noise_aware_, v, a, std::max(data.labels[i], -1), p.data());
  } else {
    math::gmm_posterior(gmm_, v, a, p.data());
  }
  return p;
}

SoftLabels soft_labels(const LabelModel& model, const Annotations& data, double alpha,
                       double smoothing) {
  if (!(alpha >= 0 && alpha <= 1)) {
    throw ConfigError(fmt::format("fusion.alpha: {} is not in [0, 1]", alpha));
  }
  if (!(smoothing >= 0 && smoothing < 1)) {
    throw ConfigError(fmt::format("loss.label_smoothing: {} is not in [0, 1)", smoothing));
  }
  const LabelPosterior posterior(model, model.options.kind);
  const bool onehot = model.options.kind == LabelKind::onehot;
  const int classes = model.classes();
  SoftLabels out{classes, std::vector<double>(data.size() * static_cast<std::size_t>(classes)), {}};
  for (std::size_t i = 0; i < data.size(); ++i) {
    double* row = out.p.data() + i * static_cast<std::size_t>(classes);
    const std::vector<double> p = posterior(data, i);
    int label = std::max(data.labels[i], -1);
    const bool annotated = label >= 0;
    if (!annotated && !p.empty()) label = math::argmax(p.data(), classes);
    out.labels.push_back(label);
    if (label >= 0 && (p.empty() || onehot)) {
      row[label] = 1;
    } else if (annotated) {
      math::fuse(alpha, label, p.data(), classes, row);
    } else {
      std::copy(p.begin(), p.end(), row);
    }
    if (label >= 0) math::smooth(smoothing, classes, row);
  }
  return out;
}

}  // namespace affuse
