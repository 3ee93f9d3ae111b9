// Computes the measures of a set of predictions.
#include "apps/trainer/measures.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "fmt/format.h"

namespace affuse {
namespace {

double ratio(std::size_t a, std::size_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

void check_sizes(const Predictions& p) {
  const std::size_t n = p.size(), k = static_cast<std::size_t>(std::max(p.classes, 0));
  const auto fits = [&](std::size_t size, std::size_t want) { return size == 0 || size == want; };
  if (!fits(p.probabilities.size(), n * k) || !fits(p.valence.size(), n) ||
      !fits(p.arousal.size(), n) || !fits(p.pred_valence.size(), n) ||
      !fits(p.pred_arousal.size(), n)) {
    throw DataError(
        fmt::format("predictions: columns of different length for {} samples of {} "
                    "classes",
                    n, p.classes));
  }
}

/// Whether sample i has probabilities; refuses what is none.
bool has_probabilities(const Predictions& p, std::size_t i) {
  if (p.probabilities.empty()) return false;
  const auto k = static_cast<std::size_t>(p.classes);
  const auto row = std::span(p.probabilities).subspan(i * k, k);
  if (std::all_of(row.begin(), row.end(), [](double x) { return std::isnan(x); })) return false;
  double sum = 0;
  for (const double x : row) {
    if (!(x >= 0)) throw DataError(fmt::format("sample {}: {} is not a probability", i, x));
    sum += x;
  }
  if (!(std::abs(sum - 1) <= kProbabilitySumTolerance)) {
    throw DataError(
        fmt::format("sample {}: class probabilities sum to {:.6g}, not to 1; are they "
                    "logits?",
                    i, sum));
  }
  return true;
}

void add_classes(Measures& out, const Predictions& p, const MeasureOptions& options) {
  const auto k = static_cast<std::size_t>(p.classes);
  std::vector<int> labels, predicted;
  std::vector<double> probabilities;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p.labels[i] >= p.classes && !p.probabilities.empty()) {
      throw DataError(
          fmt::format("sample {}: class {} of {} classes; there is no probability for "
                      "it",
                      i, p.labels[i], p.classes));
    }
    if (!has_probabilities(p, i) || p.labels[i] < 0) continue;
    const auto row = std::span(p.probabilities).subspan(i * k, k);
    labels.push_back(p.labels[i]);
    predicted.push_back(static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin()));
    probabilities.insert(probabilities.end(), row.begin(), row.end());
  }
  if (labels.empty()) return;
  out.classification = measure_classes(labels, predicted, p.classes);
  const std::vector<double> logits = log_probabilities(probabilities);
  Calibration c;
  c.bins = options.bins;
  c.raw = measure_calibration(probabilities, p.classes, labels, c.bins);
  c.temperature =
      options.temperature ? *options.temperature : fit_temperature(logits, p.classes, labels);
  if (options.temperature) c.temperature_from = options.temperature_from;
  c.scaled = measure_calibration(scaled_softmax(logits, p.classes, c.temperature), p.classes,
                                 labels, c.bins);
  out.calibration = c;
}

std::optional<Regression> axis(const std::vector<double>& annotated,
                               const std::vector<double>& predicted) {
  std::vector<double> x, y;
  for (std::size_t i = 0; i < std::min(annotated.size(), predicted.size()); ++i) {
    if (std::isfinite(annotated[i]) && std::isfinite(predicted[i])) {
      x.push_back(annotated[i]);
      y.push_back(predicted[i]);
    }
  }
  if (x.empty()) return std::nullopt;
  return measure_axis(x, y);
}

}  // namespace

Classification measure_classes(std::span<const int> labels, std::span<const int> predicted,
                               int classes) {
  const auto k = static_cast<std::size_t>(classes);
  Classification out;
  out.confusion.assign(k, std::vector<std::size_t>(k));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++out.confusion[static_cast<std::size_t>(labels[i])][static_cast<std::size_t>(predicted[i])];
  }
  std::size_t right = 0;
  for (std::size_t c = 0; c < k; ++c) {
    const std::size_t hits = out.confusion[c][c];
    std::size_t annotated = 0, named = 0;
    for (std::size_t j = 0; j < k; ++j) {
      annotated += out.confusion[c][j];
      named += out.confusion[j][c];
    }
    right += hits;
    out.per_class.push_back({ratio(hits, named), ratio(hits, annotated),
                             ratio(2 * hits, annotated + named), annotated});
    out.macro_f1 += out.per_class.back().f1 / static_cast<double>(k);
  }
  out.accuracy = ratio(right, labels.size());
  return out;
}

Regression measure_axis(std::span<const double> annotated, std::span<const double> predicted) {
  const auto n = static_cast<double>(annotated.size());
  double mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < annotated.size(); ++i) {
    mean_x += annotated[i] - annotated[0];  // about the first: exact for constants
    mean_y += predicted[i] - predicted[0];
  }
  mean_x = annotated[0] + mean_x / n;
  mean_y = predicted[0] + mean_y / n;
  double xx = 0, yy = 0, xy = 0, squared_error = 0, same_sign = 0;
  for (std::size_t i = 0; i < annotated.size(); ++i) {
    const double dx = annotated[i] - mean_x, dy = predicted[i] - mean_y;
    const double error = annotated[i] - predicted[i];
    xx += dx * dx / n;
    yy += dy * dy / n;
    xy += dx * dy / n;
    squared_error += error * error / n;
    same_sign += (annotated[i] >= 0) == (predicted[i] >= 0);
  }
  Regression out;
  out.rmse = std::sqrt(squared_error);
  const double spread = xx + yy + (mean_x - mean_y) * (mean_x - mean_y);
  out.ccc = spread > 0 ? 2 * xy / spread : 1.0;
  out.pearson = xx > 0 && yy > 0 ? xy / (std::sqrt(xx) * std::sqrt(yy)) : 0.0;
  out.sign_agreement = same_sign / n;
  return out;
}

Measures compute_measures(const Predictions& predictions, const MeasureOptions& options) {
  if (options.bins < 1) {
    throw ConfigError(fmt::format("calibration.bins: {} is below 1", options.bins));
  }
  check_sizes(predictions);
  Measures out;
  out.n = predictions.size();
  add_classes(out, predictions, options);
  out.valence = axis(predictions.valence, predictions.pred_valence);
  out.arousal = axis(predictions.arousal, predictions.pred_arousal);
  return out;
}

}  // namespace affuse
