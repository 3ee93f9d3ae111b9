// Fits the label model's class statistics: counts, weights, priors, trimmed means, covariances.
#include "data/label_fit.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/log.h"

namespace affuse {

Moments moments_of(std::span<const Point> points) {
  // Sums run over differences from the first point: equal points give exactly zero covariance.
  const Point origin = points[0];
  const auto n = static_cast<double>(points.size());
  Point sum;
  for (const Point& x : points) {
    sum.v += x.v - origin.v;
    sum.a += x.a - origin.a;
  }
  const Point mu{origin.v + sum.v / n, origin.a + sum.a / n};
  Covariance s;
  for (const Point& x : points) {
    const double dv = x.v - mu.v, da = x.a - mu.a;
    s.vv += dv * dv;
    s.va += dv * da;
    s.aa += da * da;
  }
  return {mu, {s.vv / n, s.va / n, s.aa / n}};
}

std::vector<Point> trim_points(std::span<const Point> points, double stds) {
  const Moments m = moments_of(points);
  const double limit_v = stds * std::sqrt(m.sigma.vv), limit_a = stds * std::sqrt(m.sigma.aa);
  std::vector<Point> kept;
  for (const Point& x : points) {
    if (std::abs(x.v - m.mu.v) < limit_v && std::abs(x.a - m.mu.a) < limit_a) kept.push_back(x);
  }
  return kept;
}

Covariance with_ridge(const Covariance& s) {
  const bool positive = s.vv > 0 && s.aa > 0 && s.vv * s.aa - s.va * s.va > 1e-12 * s.vv * s.aa;
  if (positive) return s;
  const double ridge = std::max(1e-6 * (s.vv + s.aa) / 2, 1e-8);
  return {s.vv + ridge, s.va, s.aa + ridge};
}

namespace {

void check_options(const LabelModelOptions& o, int classes) {
  const auto refuse = [](const char* key, const std::string& what) {
    throw ConfigError(fmt::format("label_model.{}: {}", key, what));
  };
  if (classes < 1 || classes > math::kMaxClasses) {
    refuse("classes", fmt::format("{} classes; 1 to {} are possible", classes, math::kMaxClasses));
  }
  if (o.trim && !(*o.trim > 0 && std::isfinite(*o.trim))) {
    refuse("trim",
           fmt::format("{} is not a positive number; use null to keep all points", *o.trim));
  }
  if (o.euclid_power != 1 && o.euclid_power != 2) {
    refuse("euclid_power", fmt::format("{} is neither 1 nor 2", o.euclid_power));
  }
  if (o.components < 1 || o.components > math::kMaxComponents) {
    refuse("components", fmt::format("{} is not in 1 to {}", o.components, math::kMaxComponents));
  }
  if (o.max_rounds < 1) refuse("max_rounds", fmt::format("{} is below 1", o.max_rounds));
  if (!(o.tolerance >= 0)) refuse("tolerance", fmt::format("{} is negative", o.tolerance));
}

/// The points of each class; refuses labels out of range.
std::vector<std::vector<Point>> points_by_class(const Annotations& data, int classes) {
  std::vector<std::vector<Point>> points(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < data.size(); ++i) {
    const int label = data.labels[i];
    if (label >= classes) {
      throw DataError(
          fmt::format("sample {}: class {} of {} classes (0 to {}); raise the number of "
                      "classes or correct the annotation",
                      i, label, classes, classes - 1));
    }
    if (label >= 0 && data.has_va(i)) {
      points[static_cast<std::size_t>(label)].push_back({data.valence[i], data.arousal[i]});
    }
  }
  return points;
}

void warn(LabelModel& model, std::string line) {
  if (model.options.kind != LabelKind::onehot) log_warning(line);  // one-hot labels read no VA
  model.warnings.push_back(std::move(line));
}

/// Moments of one class's points after the trim, with the fall-backs of a small class.
Moments fit_class(LabelModel& model, std::size_t k, const std::vector<Point>& points,
                  const std::string& name) {
  if (points.empty()) {
    warn(model, fmt::format("label model: class {} has no sample with valence and arousal; its "
                            "probability is 0",
                            name));
    return {};
  }
  std::vector<Point> kept = points;
  if (model.options.trim) {
    kept = trim_points(points, *model.options.trim);
    if (kept.size() < 3) {
      warn(model, fmt::format("label model: class {} keeps {} of {} points within {} std; all of "
                              "them are used",
                              name, kept.size(), points.size(), *model.options.trim));
      kept = points;
    }
  }
  model.kept[k] = kept.size();
  Moments m = moments_of(kept);
  m.sigma = with_ridge(m.sigma);
  return m;
}

/// Fits the noise-aware mixture where there is something to fit it on.
void add_noise_aware(LabelModel& model, const std::vector<std::vector<Point>>& points) {
  std::vector<LabelledPoint> all;
  std::vector<MixtureStart> start;
  for (std::size_t k = 0; k < points.size(); ++k) {
    for (const Point& x : points[k]) all.push_back({x, static_cast<int>(k)});
    start.push_back({0, {model.mu[k], model.sigma[k]}, {}});
    if (!points[k].empty()) start.back().whole = with_ridge(moments_of(points[k]).sigma);
  }
  for (std::size_t k = 0; k < points.size(); ++k) {
    start[k].pi = static_cast<double>(points[k].size()) / static_cast<double>(all.size());
  }
  model.noise_aware = fit_noise_aware(all, start, model.options);
  const NoiseAwareMixture& m = model.noise_aware;
  log_info(
      fmt::format("label model: noise-aware mixture of {} components a class: e = {:.4f}, log "
                  "likelihood {:.6f} a sample, stopped after {} rounds ({}, relative gain {:.2e})",
                  m.components, m.e, m.log_likelihood, m.rounds, m.reason, m.gain));
}

}  // namespace

std::vector<double> class_weights(std::span<const std::size_t> counts) {
  std::size_t most = 0;
  for (const std::size_t n : counts) most = std::max(most, n);
  std::vector<double> weights;
  for (const std::size_t n : counts) {
    weights.push_back(n == 0 ? 0.0 : static_cast<double>(most) / static_cast<double>(n));
  }
  return weights;
}

std::vector<std::size_t> count_classes(std::span<const int> labels, int classes) {
  std::vector<std::size_t> counts(static_cast<std::size_t>(classes));
  for (const int label : labels) {
    if (label >= 0) ++counts.at(static_cast<std::size_t>(label));
  }
  return counts;
}

LabelModel fit_label_model(const Annotations& data, int classes, const LabelModelOptions& options,
                           const std::vector<std::string>& names) {
  check_options(options, classes);
  const auto points = points_by_class(data, classes);
  LabelModel model;
  model.options = options;
  model.counts = count_classes(data.labels, classes);
  model.weights = class_weights(model.counts);
  std::size_t total = 0, occupied = 0;
  for (const auto& of_class : points) {
    total += of_class.size();
    occupied += of_class.empty() ? 0 : 1;
  }
  const bool needs_va = options.kind != LabelKind::onehot && options.kind != LabelKind::given;
  if (total == 0 && needs_va) {
    throw DataError(
        fmt::format("label model: none of {} samples has a class and valence and arousal; "
                    "use label_model.kind = onehot, or label_model.from with a "
                    "labels.json of another data set",
                    data.size()));
  }
  model.kept.resize(points.size());
  for (std::size_t k = 0; k < points.size(); ++k) {
    const std::string name = k < names.size() ? names[k] : std::to_string(k);
    const Moments m = fit_class(model, k, points[k], name);
    model.mu.push_back(m.mu);
    model.sigma.push_back(m.sigma);
    const double share = options.prior == ClassPrior::uniform
                             ? 1.0 / static_cast<double>(occupied)
                             : static_cast<double>(points[k].size()) / static_cast<double>(total);
    model.pi.push_back(points[k].empty() ? 0.0 : share);
  }
  const bool wanted = options.noise_aware || options.kind == LabelKind::noise_aware;
  if (wanted && total > 0) add_noise_aware(model, points);
  return model;
}

}  // namespace affuse
