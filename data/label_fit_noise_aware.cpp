// EM for the noise-aware mixture: the annotated class is a noisy draw of the true one.
#include <algorithm>
#include <cmath>

#include "data/label_fit.h"
#include "engine/philox.h"

namespace affuse {
namespace {

constexpr double kStartE = 0.2;
constexpr double kRidge = 1e-5;           // on every Sigma, or a component collapses onto a point
constexpr double kSmoothing = 0.5;        // pseudo-counts of a full T, per expected count
constexpr double kMinResponsible = 1e-6;  // points; a component below it keeps its last shape
constexpr double kNegligible = 45.0;      // e^-45 of the largest term is below double's epsilon

/// Sufficient statistics of one component, about its current mean.
struct Sums {
  double n = 0, v = 0, a = 0, vv = 0, va = 0, aa = 0;
};

class Em {
 public:
  Em(std::span<const LabelledPoint> points, std::span<const MixtureStart> start,
     const LabelModelOptions& options)
      : points_(points), classes_(start.size()), options_(options) {
    const auto components = static_cast<std::size_t>(options.components);
    mixture_.components = options.components;
    mixture_.noise = options.noise;
    for (std::size_t k = 0; k < classes_; ++k) {
      Philox draw(options.seed, Purpose::label_model, static_cast<std::uint32_t>(k));
      const auto& [pi, trimmed, whole] = start[k];
      const double half_v = std::sqrt(trimmed.sigma.vv) / 2;
      const double half_a = std::sqrt(trimmed.sigma.aa) / 2;
      for (std::size_t c = 0; c < components; ++c) {
        const double v = trimmed.mu.v + half_v * draw.normal();
        const double a = trimmed.mu.a + half_a * draw.normal();
        mixture_.gaussians.push_back({pi / static_cast<double>(components), {v, a}, whole});
      }
    }
    set_symmetric(kStartE);
  }

  NoiseAwareMixture run() {
    double previous = expect();
    for (mixture_.rounds = 1;; ++mixture_.rounds) {
      maximize();
      mixture_.log_likelihood = expect();
      mixture_.gain = (mixture_.log_likelihood - previous) / std::max(std::abs(previous), 1e-12);
      previous = mixture_.log_likelihood;
      mixture_.reason = mixture_.gain < options_.tolerance ? "converged" : "max_rounds";
      if (mixture_.gain < options_.tolerance || mixture_.rounds >= options_.max_rounds) break;
    }
    return mixture_;
  }

 private:
  void set_symmetric(double e) {
    mixture_.e = classes_ > 1 ? e : 0.0;
    const double other = classes_ > 1 ? e / static_cast<double>(classes_ - 1) : 0.0;
    mixture_.transition.assign(classes_ * classes_, other);
    for (std::size_t k = 0; k < classes_; ++k) {
      mixture_.transition[k * classes_ + k] = 1 - mixture_.e;
    }
  }

  /// E-step: fills sums_ and confusion_; returns the mean log likelihood.
  double expect() {
    const std::size_t components = static_cast<std::size_t>(mixture_.components);
    const std::size_t n = mixture_.gaussians.size();
    std::vector<math::Gaussian<double>> g;
    for (const MixtureComponent& m : mixture_.gaussians) {
      g.push_back(
          math::make_gaussian(m.weight, m.mu.v, m.mu.a, m.sigma.vv, m.sigma.va, m.sigma.aa));
    }
    std::vector<double> log_t;
    for (const double t : mixture_.transition)
      log_t.push_back(t > 0 ? std::log(t) : math::kLogZero);
    sums_.assign(n, {});
    confusion_.assign(classes_ * classes_, 0.0);
    std::vector<double> score(n);
    double total = 0;
    for (const LabelledPoint& point : points_) {
      const auto y = static_cast<std::size_t>(point.label);
      double top = math::kLogZero;
      for (std::size_t i = 0; i < n; ++i) {
        score[i] =
            math::log_density(g[i], point.x.v, point.x.a) + log_t[y * classes_ + i / components];
        top = std::max(top, score[i]);
      }
      double sum = 0;
      for (double& s : score) sum += s = s < top - kNegligible ? 0.0 : std::exp(s - top);
      total += top + std::log(sum);
      for (std::size_t i = 0; i < n; ++i) {
        if (score[i] == 0) continue;
        const double r = score[i] / sum;
        add(sums_[i], r, point.x.v - g[i].mu_v, point.x.a - g[i].mu_a);
        confusion_[y * classes_ + i / components] += r;
      }
    }
    return total / static_cast<double>(points_.size());
  }

  static void add(Sums& s, double r, double dv, double da) {
    s.n += r;
    s.v += r * dv;
    s.a += r * da;
    s.vv += r * dv * dv;
    s.va += r * dv * da;
    s.aa += r * da * da;
  }

  /// M-step.
  void maximize() {
    const auto n = static_cast<double>(points_.size());
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const Sums& s = sums_[i];
      MixtureComponent& m = mixture_.gaussians[i];
      m.weight = s.n / n;
      if (s.n < kMinResponsible) continue;
      const double v = s.v / s.n, a = s.a / s.n;
      m.mu = {m.mu.v + v, m.mu.a + a};
      m.sigma = {std::max(s.vv / s.n - v * v, 0.0) + kRidge, s.va / s.n - v * a,
                 std::max(s.aa / s.n - a * a, 0.0) + kRidge};
    }
    double right = 0;
    for (std::size_t k = 0; k < classes_; ++k) right += confusion_[k * classes_ + k];
    const double e = std::max(0.0, 1 - right / n);
    if (mixture_.noise == NoiseMatrix::symmetric) {
      set_symmetric(e);
    } else {
      set_full(e);
    }
  }

  /// T(y | k) under a Dirichlet prior centred on the symmetric T. A flat prior is too weak: with 30
  /// % symmetric flips, T then takes part of one class for another's errors (e = .34).
  void set_full(double e) {
    set_symmetric(e);
    for (std::size_t k = 0; k < classes_; ++k) {
      double expected = 0;
      for (std::size_t y = 0; y < classes_; ++y) expected += confusion_[y * classes_ + k];
      if (expected < kMinResponsible) continue;
      for (std::size_t y = 0; y < classes_; ++y) {
        double& t = mixture_.transition[y * classes_ + k];
        t = (confusion_[y * classes_ + k] / expected + kSmoothing * t) / (1 + kSmoothing);
      }
    }
  }

  std::span<const LabelledPoint> points_;
  std::size_t classes_;
  const LabelModelOptions& options_;
  NoiseAwareMixture mixture_;
  std::vector<Sums> sums_;
  std::vector<double> confusion_;  // [annotated * K + true], expected counts
};

}  // namespace

NoiseAwareMixture fit_noise_aware(std::span<const LabelledPoint> points,
                                  std::span<const MixtureStart> start,
                                  const LabelModelOptions& options) {
  return Em(points, start, options).run();
}

}  // namespace affuse
