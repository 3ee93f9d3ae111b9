// Calibration measures and the temperature fit.
#include "apps/trainer/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace affuse {
namespace {

std::span<const double> row_of(std::span<const double> values, int classes, std::size_t i) {
  const auto k = static_cast<std::size_t>(classes);
  return values.subspan(i * k, k);
}

double floored_log(double p) { return std::log(std::max(p, std::numeric_limits<double>::min())); }

void add(ReliabilityBin& bin, double confidence, char correct) {
  ++bin.count;
  bin.accuracy += correct;
  bin.confidence += confidence;
}

std::vector<ReliabilityBin> averaged(std::vector<ReliabilityBin> bins) {
  for (ReliabilityBin& b : bins) {
    if (b.count == 0) continue;
    b.accuracy /= static_cast<double>(b.count);
    b.confidence /= static_cast<double>(b.count);
  }
  return bins;
}

double expected_error(const std::vector<ReliabilityBin>& bins, std::size_t samples) {
  double sum = 0;
  for (const ReliabilityBin& b : bins) {
    sum += static_cast<double>(b.count) * std::abs(b.accuracy - b.confidence);
  }
  return sum / static_cast<double>(samples);
}

double top_of(std::span<const double> z) { return *std::max_element(z.begin(), z.end()); }

/// First and second derivative of the mean cross entropy of softmax(beta * logits) by beta.
/// target_mean [N]: sum_k q_k (z_k - top) of each sample's label q.
struct Slope {
  double first = 0, second = 0;
};
Slope nll_slope(std::span<const double> logits, int classes, std::span<const double> target_mean,
                double beta) {
  Slope slope;
  for (std::size_t i = 0; i < target_mean.size(); ++i) {
    const auto z = row_of(logits, classes, i);
    const double top = top_of(z);
    double mass = 0, mean = 0, square = 0;
    for (const double x : z) {  // moments about the top logit: no cancellation of large logits
      const double w = std::exp(beta * (x - top));
      mass += w;
      mean += w * (x - top);
      square += w * (x - top) * (x - top);
    }
    mean /= mass;
    slope.first += mean - target_mean[i];
    slope.second += square / mass - mean * mean;
  }
  const auto n = static_cast<double>(target_mean.size());
  return {slope.first / n, slope.second / n};
}

double solve_temperature(std::span<const double> logits, int classes,
                         std::span<const double> target_mean) {
  if (target_mean.empty()) return 1;
  double low = 1 / kMaxTemperature, high = 1 / kMinTemperature;
  const auto slope = [&](double beta) { return nll_slope(logits, classes, target_mean, beta); };
  const double at_low = slope(low).first, at_high = slope(high).first;
  if (at_low == 0 && at_high == 0) return 1;  // equal logits: no temperature changes them
  if (at_low >= 0) return kMaxTemperature;
  if (at_high <= 0) return kMinTemperature;
  double beta = 1;
  for (int i = 0; i < 200 && high - low > 1e-13 * beta; ++i) {
    const Slope s = slope(beta);
    (s.first < 0 ? low : high) = beta;
    const double newton = beta - s.first / s.second;
    const double next = newton > low && newton < high ? newton : (low + high) / 2;
    const bool done = std::abs(next - beta) <= 1e-13 * beta;
    beta = next;
    if (done) break;
  }
  return 1 / beta;
}

}  // namespace

std::vector<ReliabilityBin> reliability(std::span<const double> confidence,
                                        std::span<const char> correct, int bins) {
  std::vector<ReliabilityBin> out(static_cast<std::size_t>(bins));
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    int b = std::clamp(static_cast<int>(confidence[i] * bins), 0, bins - 1);
    // The product is rounded; the edges themselves decide.
    while (b > 0 && confidence[i] <= static_cast<double>(b) / bins) --b;
    while (b < bins - 1 && confidence[i] > static_cast<double>(b + 1) / bins) ++b;
    add(out[static_cast<std::size_t>(b)], confidence[i], correct[i]);
  }
  return averaged(std::move(out));
}

std::vector<ReliabilityBin> adaptive_reliability(std::span<const double> confidence,
                                                 std::span<const char> correct, int bins) {
  std::vector<std::size_t> order(confidence.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return confidence[a] < confidence[b]; });
  std::vector<ReliabilityBin> out(static_cast<std::size_t>(bins));
  const std::size_t whole = order.size() / out.size(), longer = order.size() % out.size();
  std::size_t next = 0;
  for (std::size_t b = 0; b < out.size(); ++b) {
    const std::size_t end = next + whole + (b < longer ? 1 : 0);
    for (; next < end; ++next) add(out[b], confidence[order[next]], correct[order[next]]);
  }
  return averaged(std::move(out));
}

CalibrationValues measure_calibration(std::span<const double> probabilities, int classes,
                                      std::span<const int> labels, int bins) {
  std::vector<double> confidence;
  std::vector<char> correct;
  CalibrationValues out;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto p = row_of(probabilities, classes, i);
    const auto label = static_cast<std::size_t>(labels[i]);
    const auto top = std::max_element(p.begin(), p.end());
    confidence.push_back(*top);
    correct.push_back(static_cast<std::size_t>(top - p.begin()) == label);
    out.nll -= floored_log(p[label]);
    for (std::size_t k = 0; k < p.size(); ++k) {
      const double d = p[k] - (k == label ? 1.0 : 0.0);
      out.brier += d * d;
    }
  }
  out.nll /= static_cast<double>(labels.size());
  out.brier /= static_cast<double>(labels.size());
  const auto equal_width = reliability(confidence, correct, bins);
  out.ece = expected_error(equal_width, labels.size());
  for (const ReliabilityBin& b : equal_width) {
    out.mce = std::max(out.mce, std::abs(b.accuracy - b.confidence));
  }
  out.adaptive_ece = expected_error(adaptive_reliability(confidence, correct, bins), labels.size());
  return out;
}

std::vector<double> log_probabilities(std::span<const double> probabilities) {
  std::vector<double> out;
  for (const double p : probabilities) out.push_back(floored_log(p));
  return out;
}

double fit_temperature(std::span<const double> logits, int classes, std::span<const int> labels) {
  std::vector<double> target_mean;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto z = row_of(logits, classes, i);
    target_mean.push_back(z[static_cast<std::size_t>(labels[i])] - top_of(z));
  }
  return solve_temperature(logits, classes, target_mean);
}

double fit_temperature_soft(std::span<const double> logits, int classes,
                            std::span<const double> q) {
  std::vector<double> target_mean;
  for (std::size_t i = 0; i * static_cast<std::size_t>(classes) < q.size(); ++i) {
    const auto z = row_of(logits, classes, i), p = row_of(q, classes, i);
    const double top = top_of(z);
    double sum = 0, mass = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      sum += p[k] * (z[k] - top);
      mass += p[k];
    }
    target_mean.push_back(sum / mass);
  }
  return solve_temperature(logits, classes, target_mean);
}

double fit_temperature_corrected(std::span<const double> logits, int classes,
                                 std::span<const int> labels, std::span<const double> transition) {
  if (labels.empty()) return 1;
  const auto loss = [&](double log_t) {
    const std::vector<double> p = scaled_softmax(logits, classes, std::exp(log_t));
    double sum = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto own = row_of(p, classes, i);
      const auto likely = row_of(transition, classes, static_cast<std::size_t>(labels[i]));
      sum -= floored_log(std::inner_product(own.begin(), own.end(), likely.begin(), 0.0));
    }
    return sum / static_cast<double>(labels.size());
  };
  constexpr int kGrid = 64;
  const double first = std::log(kMinTemperature), last = std::log(kMaxTemperature);
  const auto at = [&](int i) { return first + (last - first) * std::clamp(i, 0, kGrid) / kGrid; };
  std::vector<double> losses;
  for (int i = 0; i <= kGrid; ++i) losses.push_back(loss(at(i)));
  const auto [least, most] = std::minmax_element(losses.begin(), losses.end());
  if (*most - *least <= 1e-12 * std::abs(*most)) return 1;  // no temperature changes it
  const auto best = static_cast<int>(least - losses.begin());
  if (best == 0) return kMinTemperature;  // flat from here on: every answer is as sure as can be
  if (best == kGrid) return kMaxTemperature;
  double low = at(best - 1), high = at(best + 1);
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  double a = high - ratio * (high - low), b = low + ratio * (high - low);
  double at_a = loss(a), at_b = loss(b);
  while (high - low > 1e-9) {
    if (at_a < at_b) {
      high = b, b = a, at_b = at_a;
      at_a = loss(a = high - ratio * (high - low));
    } else {
      low = a, a = b, at_a = at_b;
      at_b = loss(b = low + ratio * (high - low));
    }
  }
  return std::exp((low + high) / 2);
}

std::vector<double> scaled_softmax(std::span<const double> logits, int classes,
                                   double temperature) {
  std::vector<double> out(logits.begin(), logits.end());
  const auto k = static_cast<std::size_t>(classes);
  for (std::size_t i = 0; i + k <= out.size(); i += k) {
    const auto row = std::span(out).subspan(i, k);
    const double top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (double& x : row) sum += x = std::exp((x - top) / temperature);
    for (double& x : row) x /= sum;
  }
  return out;
}

}  // namespace affuse
