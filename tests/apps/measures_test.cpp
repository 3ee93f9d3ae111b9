// The measures against hand-made examples and brute force.
#include "apps/trainer/measures.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// n rows of K probabilities that favour the label.
Predictions random_predictions(std::size_t n, int classes, std::uint64_t seed) {
  Philox draw(seed, Purpose::test);
  Predictions p;
  p.classes = classes;
  std::vector<double> logits;
  for (std::size_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(draw.below(static_cast<std::uint32_t>(classes)));
    p.labels.push_back(label);
    for (int k = 0; k < classes; ++k) logits.push_back(draw.normal(k == label ? 1.5 : 0, 2));
  }
  p.probabilities = scaled_softmax(logits, classes, 1);
  return p;
}

double mean_nll(const std::vector<double>& p, int classes, const std::vector<int>& labels) {
  double sum = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    sum -= std::log(p[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(labels[i])]);
  }
  return sum / static_cast<double>(labels.size());
}

TEST(MeasuresTest, ClassesByHand) {
  const std::vector<int> labels{0, 0, 0, 1, 1, 2}, predicted{0, 0, 1, 1, 2, 0};
  const Classification c = measure_classes(labels, predicted, 4);
  EXPECT_EQ(c.confusion, (std::vector<std::vector<std::size_t>>{
                             {2, 1, 0, 0}, {0, 1, 1, 0}, {1, 0, 0, 0}, {0, 0, 0, 0}}));
  EXPECT_DOUBLE_EQ(c.accuracy, .5);
  EXPECT_DOUBLE_EQ(c.per_class[0].precision, 2. / 3);
  EXPECT_DOUBLE_EQ(c.per_class[0].recall, 2. / 3);
  EXPECT_DOUBLE_EQ(c.per_class[1].f1, .5);
  EXPECT_EQ(c.per_class[2].f1, 0);
  EXPECT_EQ(c.per_class[3].f1, 0) << "neither annotated nor predicted";
  EXPECT_EQ(c.per_class[0].support, 3u);
  EXPECT_DOUBLE_EQ(c.macro_f1, (2. / 3 + .5) / 4);
}

TEST(MeasuresTest, AxisByBruteForce) {
  Philox draw(1, Purpose::test);
  std::vector<double> x, y;
  for (int i = 0; i < 777; ++i) {
    x.push_back(draw.uniform(-1, 1));
    y.push_back(.5 * x.back() + draw.normal(.1, .2));
  }
  long double mx = 0, my = 0, xx = 0, yy = 0, xy = 0, ee = 0;
  int agree = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double a = x[i], b = y[i];
    mx += a / 777, my += b / 777, xx += a * a / 777, yy += b * b / 777, xy += a * b / 777;
    ee += (a - b) * (a - b) / 777;
    agree += (x[i] >= 0) == (y[i] >= 0);
  }
  const long double vx = xx - mx * mx, vy = yy - my * my, cov = xy - mx * my;
  const Regression r = measure_axis(x, y);
  EXPECT_NEAR(r.rmse, static_cast<double>(std::sqrt(ee)), 1e-14);
  EXPECT_NEAR(r.ccc, static_cast<double>(2 * cov / (vx + vy + (mx - my) * (mx - my))), 1e-13);
  EXPECT_NEAR(r.pearson, static_cast<double>(cov / std::sqrt(vx * vy)), 1e-13);
  EXPECT_DOUBLE_EQ(r.sign_agreement, agree / 777.);
}

TEST(MeasuresTest, ConstantAxes) {
  const std::vector<double> constant(5, .1 + .2), other(5, -.4), varied{0, .1, .2, .3, .4};
  EXPECT_EQ(measure_axis(constant, constant).ccc, 1);
  EXPECT_EQ(measure_axis(constant, other).ccc, 0);
  EXPECT_EQ(measure_axis(varied, constant).pearson, 0);
  EXPECT_EQ(measure_axis(varied, constant).ccc, 0);
  EXPECT_DOUBLE_EQ(measure_axis(varied, varied).pearson, 1);
  EXPECT_DOUBLE_EQ(measure_axis(varied, varied).ccc, 1);
  EXPECT_EQ(measure_axis(std::vector{0.0, -.0}, std::vector{.1, .1}).sign_agreement, 1);
}

TEST(MeasuresTest, BinsAreRightClosed) {
  std::vector<double> confidence;
  for (int b = 1; b <= 15; ++b) confidence.push_back(static_cast<double>(b) / 15);
  const std::vector<char> correct(15, 1);
  for (const ReliabilityBin& bin : reliability(confidence, correct, 15)) EXPECT_EQ(bin.count, 1u);
  const std::vector<double> above{0, std::nextafter(3. / 15, 1), .2, 1};
  const auto bins = reliability(above, std::vector<char>(4, 0), 15);
  EXPECT_EQ(bins[0].count, 1u);
  EXPECT_EQ(bins[2].count, 1u);
  EXPECT_EQ(bins[3].count, 1u);
  EXPECT_EQ(bins[14].count, 1u);
}

TEST(MeasuresTest, CalibrationByHand) {
  // Confidences .6 (right), .9 (right), .8 (wrong) in two bins: (0, .5], (.5, 1].
  const std::vector<double> p{.6, .4, .1, .9, .8, .2};
  const std::vector<int> labels{0, 1, 1};
  const CalibrationValues c = measure_calibration(p, 2, labels, 2);
  EXPECT_NEAR(c.ece, std::abs(2. / 3 - 2.3 / 3), 1e-15);
  EXPECT_NEAR(c.mce, .1, 1e-15);
  // Equal mass: {.6, .8} and {.9}.
  EXPECT_NEAR(c.adaptive_ece, (2 * .2 + .1) / 3, 1e-15);
  EXPECT_NEAR(c.nll, -(std::log(.6) + std::log(.9) + std::log(.2)) / 3, 1e-15);
  EXPECT_NEAR(c.brier, (2 * .16 + 2 * .01 + 2 * .64) / 3, 1e-15);
}

TEST(MeasuresTest, AdaptiveBinsHoldEqualMass) {
  const std::vector<double> confidence{.9, .1, .5, .3, .7};
  const std::vector<char> correct{1, 0, 1, 0, 1};
  const auto two = adaptive_reliability(confidence, correct, 2);
  EXPECT_EQ(two[0].count, 3u);
  EXPECT_NEAR(two[0].confidence, .3, 1e-15);
  EXPECT_NEAR(two[1].confidence, .8, 1e-15);
  const auto many = adaptive_reliability(confidence, correct, 7);
  EXPECT_EQ(many[4].count, 1u);
  EXPECT_EQ(many[5].count, 0u);
}

TEST(MeasuresTest, ZeroProbabilityHasFiniteNll) {
  const CalibrationValues c = measure_calibration(std::vector{1.0, 0.0}, 2, std::vector{1});
  EXPECT_NEAR(c.nll, 708.396, 1e-3);
  EXPECT_DOUBLE_EQ(c.ece, 1);
}

TEST(MeasuresTest, TemperatureIsTheMinimum) {
  for (const int classes : {2, 8}) {
    const Predictions p = random_predictions(500, classes, 3);
    const auto logits = log_probabilities(p.probabilities);
    const double t = fit_temperature(logits, classes, p.labels);
    const auto nll = [&](double at) {
      return mean_nll(scaled_softmax(logits, classes, at), classes, p.labels);
    };
    EXPECT_NEAR((nll(t + 1e-5) - nll(t - 1e-5)) / 2e-5, 0, 1e-9);
    for (double at = .05; at < 20; at *= 1.1) EXPECT_GE(nll(at), nll(t));
    std::vector<double> hotter = logits;  // logits times 3 want 3 times the temperature
    for (double& z : hotter) z *= 3;
    EXPECT_NEAR(fit_temperature(hotter, classes, p.labels), 3 * t, 1e-10);
  }
}

TEST(MeasuresTest, TemperatureAtItsEnds) {
  const std::vector<double> right{3, 0, 0, 3}, equal{1, 1, 1, 1};
  EXPECT_DOUBLE_EQ(fit_temperature(right, 2, std::vector{0, 1}), .01);
  EXPECT_DOUBLE_EQ(fit_temperature(right, 2, std::vector{1, 0}), 100);
  EXPECT_DOUBLE_EQ(fit_temperature(equal, 2, std::vector{1, 0}), 1);
  EXPECT_DOUBLE_EQ(fit_temperature({}, 2, {}), 1);
  const std::vector<double> sure{709, 0, 709, 0, 709, 0};  // two of three right: softmax(ln 2)
  EXPECT_NEAR(fit_temperature(sure, 2, std::vector{0, 0, 1}), 100, 1e-9);
  std::vector<double> less;
  for (const double z : sure) less.push_back(z / 100);
  EXPECT_NEAR(fit_temperature(less, 2, std::vector{0, 0, 1}), 7.09 / std::log(2), 1e-9);
}

/// Mean -sum_k q_k log softmax(logits / t)_k.
double cross_entropy(const std::vector<double>& logits, int classes, const std::vector<double>& q,
                     double t) {
  const auto k = static_cast<std::size_t>(classes);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); i += k) {
    double mass = 0;
    for (std::size_t c = i; c < i + k; ++c) mass += std::exp(logits[c] / t);
    for (std::size_t c = i; c < i + k; ++c) sum -= q[c] * (logits[c] / t - std::log(mass));
  }
  return sum * static_cast<double>(k) / static_cast<double>(logits.size());
}

TEST(MeasuresTest, TemperatureOfSoftLabelsByGoldenSection) {
  for (const int classes : {2, 8}) {
    const auto logits = log_probabilities(random_predictions(300, classes, 8).probabilities);
    const auto softer = scaled_softmax(logits, classes, 1.7);
    auto q = random_predictions(300, classes, 9).probabilities;
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = .8 * softer[i] + .2 * q[i];
    const double ratio = (std::sqrt(5.) - 1) / 2;
    double low = -4, high = 4;  // log T
    while (high - low > 1e-10) {
      const double a = high - ratio * (high - low), b = low + ratio * (high - low);
      const bool left = cross_entropy(logits, classes, q, std::exp(a)) <
                        cross_entropy(logits, classes, q, std::exp(b));
      (left ? high : low) = left ? b : a;
    }
    const double t = fit_temperature_soft(logits, classes, q);
    EXPECT_NEAR(std::log(t), low, 1e-6);
    std::vector<double> doubled = q;
    for (double& x : doubled) x *= 2;
    EXPECT_NEAR(fit_temperature_soft(logits, classes, doubled), t, 1e-12 * t) << "rows are scaled";
  }
  const Predictions p = random_predictions(200, 5, 10);
  const auto logits = log_probabilities(p.probabilities);
  std::vector<double> onehot(200 * 5);
  for (std::size_t i = 0; i < 200; ++i) onehot[i * 5 + static_cast<std::size_t>(p.labels[i])] = 1;
  const double t = fit_temperature(logits, 5, p.labels);
  EXPECT_NEAR(fit_temperature_soft(logits, 5, onehot), t, 1e-12 * t);
  EXPECT_DOUBLE_EQ(fit_temperature_soft({}, 5, {}), 1);
}

/// A(y | k): half of class 0 and a fifth of the others are annotated as any other class.
std::vector<double> wrong_share(int classes) {
  const auto k = static_cast<std::size_t>(classes);
  std::vector<double> a(k * k);
  for (std::size_t y = 0; y < k; ++y)
    for (std::size_t c = 0; c < k; ++c) {
      const double e = c == 0 ? .5 : .2;
      a[y * k + c] = y == c ? 1 - e : e / (classes - 1);
    }
  return a;
}

TEST(MeasuresTest, TemperatureOfWrongLabelsIsThatOfTheRightOnes) {
  constexpr std::size_t classes = 4, n = 20000;
  Philox draw(11, Purpose::test);
  const auto transition = wrong_share(classes);
  const auto drawn = [&](const auto& p) {
    double u = draw.uniform();
    std::size_t k = 0;
    while (k < classes - 1 && (u -= p(k)) >= 0) ++k;
    return k;
  };
  std::vector<double> logits;
  std::vector<int> right, wrong;
  for (std::size_t i = 0; i < n; ++i) {  // classes from softmax(z), but the logits say 2 z
    std::vector<double> z;
    for (std::size_t k = 0; k < classes; ++k) z.push_back(draw.normal(0, 2));
    const auto p = scaled_softmax(z, classes, 1);
    const std::size_t own = drawn([&](std::size_t k) { return p[k]; });
    right.push_back(static_cast<int>(own));
    wrong.push_back(
        static_cast<int>(drawn([&](std::size_t y) { return transition[y * classes + own]; })));
    for (const double x : z) logits.push_back(2 * x);
  }
  EXPECT_NEAR(fit_temperature(logits, classes, right), 2, .1);
  EXPECT_GT(fit_temperature(logits, classes, wrong), 3) << "wrong labels look like overconfidence";
  const double t = fit_temperature_corrected(logits, classes, wrong, transition);
  EXPECT_NEAR(t, 2, .15);
  const auto loss = [&](double at) {
    const auto p = scaled_softmax(logits, classes, at);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double seen = 0;
      for (std::size_t k = 0; k < classes; ++k)
        seen += transition[static_cast<std::size_t>(wrong[i]) * classes + k] * p[i * classes + k];
      sum -= std::log(seen);
    }
    return sum;
  };
  for (double at = .05; at < 50; at *= 1.3) EXPECT_GE(loss(at), loss(t));
  EXPECT_GE(loss(t * 1.001), loss(t));
  EXPECT_GE(loss(t / 1.001), loss(t));
}

TEST(MeasuresTest, TemperatureCorrectedForNothingIsThePlainOne) {
  const Predictions p = random_predictions(300, 3, 12);
  const auto logits = log_probabilities(p.probabilities);
  const std::vector<double> none{1, 0, 0, 0, 1, 0, 0, 0, 1};
  EXPECT_NEAR(fit_temperature_corrected(logits, 3, p.labels, none),
              fit_temperature(logits, 3, p.labels), 1e-6);
  const std::vector<double> equal(6, 1.0), right{3, 0, 0, 0, 3, 0};
  EXPECT_DOUBLE_EQ(fit_temperature_corrected(equal, 3, std::vector{0, 2}, none), 1);
  EXPECT_DOUBLE_EQ(fit_temperature_corrected(right, 3, std::vector{0, 1}, none), .01);
  EXPECT_DOUBLE_EQ(fit_temperature_corrected(right, 3, std::vector{2, 2}, none), 100);
  EXPECT_DOUBLE_EQ(fit_temperature_corrected({}, 3, {}, none), 1);
}

TEST(MeasuresTest, SectionsFollowTheData) {
  Predictions p = random_predictions(40, 3, 4);
  const auto keys = [&] {
    std::vector<std::string> out;
    const auto json = to_json(compute_measures(p));
    for (const auto& item : json.items()) out.push_back(item.key());
    return out;
  };
  EXPECT_EQ(keys(), (std::vector<std::string>{"schema", "n", "accuracy", "macro_f1", "per_class",
                                              "confusion", "calibration"}));
  p.valence = p.pred_valence = std::vector<double>(40, kNone);
  p.arousal = p.pred_arousal = std::vector<double>(40, kNone);
  p.valence[3] = p.arousal[3] = .5;
  p.pred_arousal[3] = .25;
  EXPECT_EQ(keys(), (std::vector<std::string>{"schema", "n", "accuracy", "macro_f1", "per_class",
                                              "confusion", "arousal", "calibration"}));
  p.labels.assign(40, -1);
  EXPECT_EQ(keys(), (std::vector<std::string>{"schema", "n", "arousal"}));
}

TEST(MeasuresTest, JsonOfTheContract) {
  Predictions p = random_predictions(60, 2, 5);
  p.labels[7] = -1;  // leaves the row out of the classes
  p.valence = p.arousal = p.pred_valence = p.pred_arousal = std::vector<double>(60, .5);
  MeasureOptions options;
  options.temperature = 2;
  const auto json = to_json(compute_measures(p, options), {"Neutral", "Happy"});
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["n"], 60);
  EXPECT_EQ(json["per_class"][1]["class"], "Happy");
  for (const char* key : {"precision", "recall", "f1", "support"}) {
    EXPECT_TRUE(json["per_class"][0].contains(key)) << key;
  }
  std::size_t total = 0;
  for (const auto& row : json["confusion"])
    total += row[0].get<std::size_t>() + row[1].get<std::size_t>();
  EXPECT_EQ(total, 59u);
  for (const char* key : {"rmse", "ccc", "pearson", "sign_agreement"}) {
    EXPECT_TRUE(json["valence"][key].is_number()) << key;
  }
  for (const char* key : {"bins", "ece", "mce", "adaptive_ece", "nll", "brier", "temperature"}) {
    EXPECT_TRUE(json["calibration"][key].is_number()) << key;
  }
  EXPECT_EQ(json["calibration"]["temperature"], 2);
  EXPECT_EQ(json["calibration"]["temperature_from"], "given");
  EXPECT_EQ(to_json(compute_measures(p))["calibration"]["temperature_from"], "predictions");
  EXPECT_EQ(to_json(compute_measures(p))["per_class"][1]["class"], 1) << "no names: numbers";
  const std::string text = to_text(compute_measures(p), {"Neutral", "Happy"});
  EXPECT_NE(text.find("Happy"), std::string::npos);
  EXPECT_NE(text.find("macro-F1"), std::string::npos);
}

TEST(MeasuresTest, ScalingLowersNllAndKeepsTheClass) {
  const Measures m = compute_measures(random_predictions(400, 6, 6));
  EXPECT_LT(m.calibration->scaled.nll, m.calibration->raw.nll);
  EXPECT_LT(m.calibration->scaled.ece, m.calibration->raw.ece);
}

TEST(MeasuresTest, RefusesWhatIsNoPrediction) {
  Predictions p = random_predictions(4, 3, 7);
  const auto refused = [](Predictions bad) { EXPECT_THROW(compute_measures(bad), DataError); };
  Predictions q = p;
  q.probabilities[4] = -.1;
  refused(q);
  q.probabilities[4] = kNone;  // one of a row
  refused(q);
  q = p;
  q.probabilities[0] += .1;
  refused(q);
  q = p;
  q.labels[2] = 3;
  refused(q);
  q = p;
  q.probabilities.pop_back();
  refused(q);
  q = p;
  q.pred_valence = {.1};
  refused(q);
  MeasureOptions none;
  none.bins = 0;
  EXPECT_THROW(compute_measures(p, none), ConfigError);
}

}  // namespace
}  // namespace affuse
