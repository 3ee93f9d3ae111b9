// The focal loss against its formula written out in long double, its gradient against finite
// differences of that formula, and gamma = 0 against plain cross-entropy, bit for bit.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/math/affect.h"

namespace affuse::math {
namespace {

constexpr double kGammas[] = {0.1, 0.5, 1, 1.7, 2, 5, 10};
constexpr ClassWeightMode kModes[] = {ClassWeightMode::sample, ClassWeightMode::per_class,
                                      ClassWeightMode::soft, ClassWeightMode::none};

struct Case {
  std::string name;
  std::vector<double> z, q;
  double weight;  ///< of the sample, W_n
};

std::vector<Case> cases(int k, unsigned seed) {
  std::mt19937 g(seed);
  std::normal_distribution<double> normal(0, 2);
  std::gamma_distribution<double> gamma(0.5);
  const auto n = static_cast<std::size_t>(k);
  std::vector<double> z(n), soft(n), first(n), last(n), sure(n, -80.0), likely(n);
  double sum = 0;
  for (double& x : z) x = normal(g);
  for (double& x : soft) sum += x = gamma(g);
  for (double& x : soft) x /= sum;
  first[0] = last[n - 1] = 1;
  sure[0] = 80;
  likely[0] = 18;  // 1 - p is below float's resolution at 1
  return {{"random", z, soft, 1.75},
          {"one-hot", z, last, 3},
          {"sure and right", sure, first, 2},
          {"sure and wrong", sure, last, 2},
          {"sure, soft", sure, soft, 1},
          {"likely, soft", likely, soft, 1},
          {"likely and right", likely, first, 5},
          {"even", std::vector<double>(n, 3.0), soft, 1},
          {"no target", z, std::vector<double>(n), 1}};
}

LossSettings settings_of(int k, ClassWeightMode mode, double gamma) {
  LossSettings s{.mode = mode, .focal_gamma = static_cast<float>(gamma), .classes = k};
  for (int i = 0; i < k; ++i) s.class_weight[i] = 1.f + 0.5f * static_cast<float>(i * i);
  return s;
}

/// -sum_k a_k (1 - p_k)^gamma log p_k; 1 - p is the others' share of the exponentials.
long double formula(const LossSettings& s, const std::vector<long double>& z, const Case& c) {
  const long double top = *std::max_element(z.begin(), z.end());
  std::vector<long double> e;
  for (const long double x : z) e.push_back(std::exp(x - top));
  const long double sum = std::accumulate(e.begin(), e.end(), 0.0L);
  long double loss = 0;
  for (std::size_t k = 0; k < z.size(); ++k) {
    long double others = 0;
    for (std::size_t j = 0; j < z.size(); ++j) others += j == k ? 0 : e[j];
    const long double log_p = z[k] == top ? -std::log1p(others) : z[k] - top - std::log(sum);
    const long double a =
        c.q[k] * (s.mode == ClassWeightMode::per_class ? double{s.class_weight[k]} : c.weight);
    loss -= a * std::pow(others / sum, static_cast<long double>(s.focal_gamma)) * log_p;
  }
  return loss;
}

long double formula(const LossSettings& s, const Case& c) {
  return formula(s, {c.z.begin(), c.z.end()}, c);
}

struct Result {
  double loss;
  std::vector<double> gradient;
};

template <class Real>
Result run(const LossSettings& s, const Case& c, double scale = 1) {
  const std::vector<Real> z(c.z.begin(), c.z.end()), q(c.q.begin(), c.q.end());
  std::vector<Real> log_p(z.size()), p(z.size()), d(z.size());
  softmax(z.data(), s.classes, log_p.data(), p.data());
  const Real loss =
      cross_entropy(s, q.data(), Real(c.weight), log_p.data(), p.data(), Real(scale), d.data());
  return {double(loss), {d.begin(), d.end()}};
}

template <class Test>
void for_all(Test test) {
  for (const int k : {1, 2, 3, 7, 8, 11, 32})
    for (const ClassWeightMode mode : kModes)
      for (const double gamma : kGammas)
        for (const Case& c : cases(k, static_cast<unsigned>(k))) {
          SCOPED_TRACE(c.name + ", K " + std::to_string(k) + ", gamma " + std::to_string(gamma) +
                       ", mode " + std::to_string(static_cast<int>(mode)));
          test(settings_of(k, mode, gamma), c);
        }
}

TEST(FocalLoss, EqualsItsFormula) {
  for_all([](const LossSettings& s, const Case& c) {
    const double want = static_cast<double>(formula(s, c));
    EXPECT_NEAR(run<double>(s, c).loss, want, 1e-12 * std::abs(want) + 1e-300);
  });
}

TEST(FocalLoss, GradientIsTheFormulasSlope) {
  for_all([](const LossSettings& s, const Case& c) {
    const Result got = run<double>(s, c, 3);
    const std::vector<long double> z(c.z.begin(), c.z.end());
    const auto at = [&](std::size_t k, long double h) {
      auto moved = z;
      moved[k] += h;
      return formula(s, moved, c);
    };
    for (std::size_t k = 0; k < z.size(); ++k) {
      const long double h = 1e-3L;  // fourth order: its own error is h^4
      const double want = static_cast<double>(
          3 * (8 * (at(k, h) - at(k, -h)) - (at(k, 2 * h) - at(k, -2 * h))) / (12 * h));
      EXPECT_NEAR(got.gradient[k], want, 1e-9 * (1 + std::abs(want))) << "logit " << k;
    }
  });
}

TEST(FocalLoss, FloatFollowsTheFormula) {
  for_all([](const LossSettings& s, const Case& c) {
    const Result f = run<float>(s, c), d = run<double>(s, c);
    const double unit = 2e-6 * double{s.class_weight[s.classes - 1]} * (1 + c.weight);
    EXPECT_NEAR(f.loss, d.loss, unit * (1 + d.loss));
    for (std::size_t k = 0; k < c.z.size(); ++k)
      EXPECT_NEAR(f.gradient[k], d.gradient[k], unit * (1 + double{s.focal_gamma}));
  });
}

// Where 1 - p is below the resolution of p, or no number at all, loss and gradient keep their
// digits.
TEST(FocalLoss, NearlySureAnswersKeepTheirDigits) {
  for (const double gamma : {0.05, 0.5, 1.0, 2.0})
    for (const double lead : {1.0, 8.0, 16.0, 18.0, 25.0, 28.0}) {
      const LossSettings s = settings_of(3, ClassWeightMode::none, gamma);
      const Case right{"", {lead, 0, -1}, {1, 0, 0}, 1};
      const Result got = run<float>(s, right);
      const double want = static_cast<double>(formula(s, right));
      EXPECT_NEAR(got.loss, want, 2e-6 * (1 + gamma) * want) << gamma << " " << lead;
      const Result exact = run<double>(s, right);
      for (const std::size_t other : {1u, 2u})
        EXPECT_NEAR(got.gradient[other], exact.gradient[other],
                    4e-6 * (1 + gamma) * exact.gradient[other])
            << gamma << " " << lead;
      // (1 - p)^(gamma + 1) (1 + gamma) shared among the others, in first order.
      if (lead > 16) {
        const double rest = std::exp(-lead) + std::exp(-1 - lead);
        EXPECT_NEAR(exact.gradient[1], (1 + gamma) * std::pow(rest, gamma) * std::exp(-lead),
                    1e-6 * exact.gradient[1]);
      }
    }
}

TEST(FocalLoss, ExtremeLogitsAreFinite) {
  for (const float gamma : {1e-6f, 0.3f, 0.999f, 1.f, 10.f})
    for (const float size : {80.f, 200.f, 1e4f, 1e30f})
      for (const std::vector<double>& q : {std::vector<double>{1, 0, 0}, {0, 1, 0}, {.2, .3, .5}}) {
        const LossSettings s = settings_of(3, ClassWeightMode::none, double{gamma});
        const Result r = run<float>(s, {"", {double{size}, -double{size}, 0}, q, 1});
        EXPECT_NEAR(r.loss, double{size} * (2 * q[1] + q[2]), 1e-6 * double{size});
        // Sure of class 0: the wrong ones pull with their whole mass.
        EXPECT_NEAR(r.gradient[0], q[1] + q[2], 1e-6);
        EXPECT_NEAR(r.gradient[1], -q[1], 1e-6);
        EXPECT_NEAR(r.gradient[2], -q[2], 1e-6);
      }
}

TEST(FocalLoss, GammaZeroIsCrossEntropyToTheBit) {
  for (const int k : {1, 2, 8, 32})
    for (const ClassWeightMode mode : kModes)
      for (const Case& c : cases(k, 17)) {
        const LossSettings s = settings_of(k, mode, 0);
        const std::vector<float> z(c.z.begin(), c.z.end()), q(c.q.begin(), c.q.end());
        std::vector<float> log_p(z.size()), p(z.size()), d(z.size());
        softmax(z.data(), k, log_p.data(), p.data());
        const float weight = static_cast<float>(c.weight), scale = 0.3f;
        float loss = 0, mass = 0;
        std::vector<float> a(z.size());
        for (std::size_t i = 0; i < z.size(); ++i) {
          a[i] = q[i] * (mode == ClassWeightMode::per_class ? s.class_weight[i] : weight);
          loss -= a[i] * log_p[i];
          mass += a[i];
        }
        EXPECT_EQ(cross_entropy(s, q.data(), weight, log_p.data(), p.data(), scale, d.data()),
                  loss);
        for (std::size_t i = 0; i < z.size(); ++i) EXPECT_EQ(d[i], scale * (mass * p[i] - a[i]));
      }
}

// Lin et al. 2017: an example at p = .9 counts 100 times less with gamma = 2.
TEST(FocalLoss, EasyExamplesCountLess) {
  const Case easy{"", {std::log(9.0), 0}, {1, 0}, 1};
  const double plain = run<double>(settings_of(2, ClassWeightMode::none, 0), easy).loss;
  EXPECT_NEAR(plain / run<double>(settings_of(2, ClassWeightMode::none, 2), easy).loss, 100, 1e-9);
}

}  // namespace
}  // namespace affuse::math
