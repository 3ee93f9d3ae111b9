// The label model's statistics, fall-backs and soft labels.
#include "data/label_model.h"

#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "data/label_fit.h"
#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Row {
  int label;
  double v, a;
};

Annotations annotations(const std::vector<Row>& rows) {
  Annotations data;
  for (const Row& r : rows) {
    data.labels.push_back(r.label);
    data.valence.push_back(r.v);
    data.arousal.push_back(r.a);
  }
  return data;
}

/// Two clouds, classes 0 and 1, n points each.
std::vector<Row> clouds(int n) {
  Philox draw(1, Purpose::test);
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) {
    rows.push_back({0, draw.normal(-.4, .1), draw.normal(.2, .2)});
    rows.push_back({1, draw.normal(.5, .2), draw.normal(-.1, .1)});
  }
  return rows;
}

std::vector<double> row(const SoftLabels& soft, std::size_t i) {
  const auto k = static_cast<std::size_t>(soft.classes);
  const auto begin = soft.p.begin() + static_cast<std::ptrdiff_t>(i * k);
  return {begin, begin + soft.classes};
}

TEST(LabelModelTest, TrimmedMomentsByBruteForce) {
  const auto rows = clouds(500);
  const LabelModel model = fit_label_model(annotations(rows), 2, {});
  for (const int k : {0, 1}) {
    std::vector<Row> mine, kept;
    for (const Row& r : rows) {
      if (r.label == k) mine.push_back(r);
    }
    // E[x^2] - E[x]^2, the other way to write a population variance.
    double v = 0, a = 0, v2 = 0, a2 = 0;
    for (const Row& r : mine)
      v += r.v / 500, a += r.a / 500, v2 += r.v * r.v / 500, a2 += r.a * r.a / 500;
    for (const Row& r : mine) {
      if ((r.v - v) * (r.v - v) < v2 - v * v && (r.a - a) * (r.a - a) < a2 - a * a)
        kept.push_back(r);
    }
    const double n = static_cast<double>(kept.size());
    double mv = 0, ma = 0, vv = 0, va = 0, aa = 0;
    for (const Row& r : kept) {
      mv += r.v / n, ma += r.a / n, vv += r.v * r.v / n, va += r.v * r.a / n, aa += r.a * r.a / n;
    }
    const auto i = static_cast<std::size_t>(k);
    EXPECT_EQ(model.kept[i], kept.size());
    EXPECT_LT(model.kept[i], 300u);
    EXPECT_NEAR(model.mu[i].v, mv, 1e-14);
    EXPECT_NEAR(model.mu[i].a, ma, 1e-14);
    EXPECT_NEAR(model.sigma[i].vv, vv - mv * mv, 1e-14);
    EXPECT_NEAR(model.sigma[i].va, va - mv * ma, 1e-14);
    EXPECT_NEAR(model.sigma[i].aa, aa - ma * ma, 1e-14);
    EXPECT_DOUBLE_EQ(model.pi[i], .5);
  }
  EXPECT_TRUE(model.warnings.empty());
}

TEST(LabelModelTest, TrimIsStrictAndFallsBack) {
  // Every point stands exactly one std from the mean: none is kept.
  const auto data = annotations({{0, -.5, -.5}, {0, .5, .5}, {0, -.5, .5}, {0, .5, -.5}});
  const LabelModel model = fit_label_model(data, 1, {});
  EXPECT_EQ(model.kept[0], 4u);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_NE(model.warnings[0].find("keeps 0 of 4 points"), std::string::npos);
  EXPECT_DOUBLE_EQ(model.sigma[0].vv, .25);
  LabelModelOptions wide;
  wide.trim = 1.001;
  EXPECT_TRUE(fit_label_model(data, 1, wide).warnings.empty());
  LabelModelOptions none;
  none.trim = std::nullopt;
  EXPECT_TRUE(fit_label_model(data, 1, none).warnings.empty());
}

TEST(LabelModelTest, ClassesOfOneNoAndEqualPoints) {
  auto rows = clouds(50);
  rows.push_back({2, .1, .3});                                           // one sample
  for (int i = 0; i < 20; ++i) rows.push_back({3, .1 + .2, -.7});        // all equal
  for (int i = 0; i < 9; ++i) rows.push_back({4, .1 * i, .2 * i - .5});  // collinear
  const auto data = annotations(rows);
  const LabelModel model = fit_label_model(data, 6, {}, {"a", "b", "c", "d", "e", "f"});
  EXPECT_EQ(model.kept[2], 1u);
  EXPECT_DOUBLE_EQ(model.sigma[2].vv, 1e-8);
  EXPECT_DOUBLE_EQ(model.sigma[3].aa, 1e-8);
  EXPECT_DOUBLE_EQ(model.mu[3].v, .1 + .2);
  EXPECT_EQ(model.pi[5], 0);
  EXPECT_EQ(model.weights[5], 0);
  EXPECT_EQ(model.warnings.size(), 3u);  // c and d fall back, f has no point
  for (const LabelKind kind : {LabelKind::gmm, LabelKind::euclid}) {
    const LabelPosterior posterior(model, kind);
    for (std::size_t i = 0; i < data.size(); ++i) {
      const auto p = posterior(data, i);
      EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
      EXPECT_EQ(p[5], 0);
    }
    EXPECT_GT(posterior(data, 100)[2], .99) << "the point of the class of one sample";
  }
}

TEST(LabelModelTest, RidgeOnlyWhereNeeded) {
  const Covariance fine{1e-10, 0, 1e-10};
  EXPECT_EQ(with_ridge(fine).vv, fine.vv);
  EXPECT_DOUBLE_EQ(with_ridge({4, 2, 1}).vv, 4 + 2.5e-6);  // singular: 1e-6 trace / 2
  EXPECT_DOUBLE_EQ(with_ridge({4, 2, 1}).va, 2);
  EXPECT_DOUBLE_EQ(with_ridge({0, 0, 1}).vv, 5e-7);
  EXPECT_DOUBLE_EQ(with_ridge({0, 0, 0}).aa, 1e-8);
}

TEST(LabelModelTest, CountsWeightsAndPriors) {
  // Class 0: 4 annotated, 2 with VA; class 1: 2, both with VA; class 2: 1, without.
  const auto data = annotations({{0, .1, .1},
                                 {0, .2, .3},
                                 {0, kNone, .1},
                                 {0, .1, kNone},
                                 {1, -.1, 0},
                                 {1, -.3, .2},
                                 {2, kNone, kNone},
                                 {-1, .5, .5}});
  LabelModelOptions options;
  const LabelModel model = fit_label_model(data, 4, options);
  EXPECT_EQ(model.counts, (std::vector<std::size_t>{4, 2, 1, 0}));
  EXPECT_EQ(model.weights, (std::vector<double>{1, 2, 4, 0}));
  EXPECT_EQ(model.pi, (std::vector<double>{.5, .5, 0, 0}));
  const auto skewed = annotations({{0, .1, .1}, {0, .2, .3}, {0, .1, .5}, {1, -.1, 0}});
  EXPECT_EQ(fit_label_model(skewed, 3, options).pi, (std::vector<double>{.75, .25, 0}));
  options.prior = ClassPrior::uniform;
  EXPECT_EQ(fit_label_model(skewed, 3, options).pi, (std::vector<double>{.5, .5, 0}));
}

TEST(LabelModelTest, FusionAndMissingAnnotations) {
  auto rows = clouds(50);
  rows.push_back({0, .5, -.1});     // 100: annotated 0, on the cloud of 1
  rows.push_back({1, kNone, -.1});  // 101: no VA
  rows.push_back({-1, .5, -.1});    // 102: no class
  rows.push_back({-1, kNone, kNone});
  rows.push_back({-1, 1e3, -1e3});  // 104: far away
  const auto data = annotations(rows);
  LabelModel model = fit_label_model(data, 2, {});
  const auto p = LabelPosterior(model, LabelKind::gmm)(data, 100);
  EXPECT_GT(p[1], .99);
  const SoftLabels soft = soft_labels(model, data, .3);
  EXPECT_DOUBLE_EQ(row(soft, 100)[0], .3 + .7 * p[0]);
  EXPECT_DOUBLE_EQ(row(soft, 100)[1], .7 * p[1]);
  EXPECT_EQ(row(soft, 101), (std::vector<double>{0, 1}));
  EXPECT_EQ(row(soft, 102), p);
  EXPECT_EQ(row(soft, 103), (std::vector<double>{0, 0}));
  EXPECT_NEAR(row(soft, 104)[0] + row(soft, 104)[1], 1, 1e-15);
  EXPECT_EQ(std::vector<int>(soft.labels.begin() + 100, soft.labels.begin() + 104),
            (std::vector<int>{0, 1, 1, -1}));
  EXPECT_EQ(row(soft_labels(model, data, 1), 100), (std::vector<double>{1, 0}));
  EXPECT_EQ(row(soft_labels(model, data, 0), 100), p);
  model.options.kind = LabelKind::onehot;
  const SoftLabels hard = soft_labels(model, data, .3);
  EXPECT_EQ(row(hard, 100), (std::vector<double>{1, 0}));
  EXPECT_EQ(row(hard, 102), (std::vector<double>{0, 1})) << "argmax of the GMM";
}

TEST(LabelModelTest, SmoothingComesLastAndLeavesEmptyRows) {
  auto rows = clouds(50);
  rows.push_back({1, kNone, -.1});
  rows.push_back({-1, .5, -.1});
  rows.push_back({-1, kNone, kNone});
  const auto data = annotations(rows);
  for (const LabelKind kind : {LabelKind::gmm, LabelKind::euclid, LabelKind::onehot}) {
    LabelModelOptions options;
    options.kind = kind;
    const LabelModel model = fit_label_model(data, 2, options);
    const SoftLabels sharp = soft_labels(model, data, .3);
    EXPECT_EQ(soft_labels(model, data, .3, 0).p, sharp.p);
    for (const double s : {.1, .5, .999}) {
      const SoftLabels soft = soft_labels(model, data, .3, s);
      EXPECT_EQ(soft.labels, sharp.labels) << "the class is the sharp label's";
      for (std::size_t i = 0; i < data.size(); ++i)
        for (std::size_t k = 0; k < 2; ++k)
          EXPECT_NEAR(row(soft, i)[k], i == 102 ? 0 : s / 2 + (1 - s) * row(sharp, i)[k], 1e-15);
    }
  }
  const LabelModel model = fit_label_model(data, 2, {});
  for (const double s : {-.1, 1., kNone})
    EXPECT_THROW(soft_labels(model, data, .5, s), ConfigError);
}

TEST(LabelModelTest, GivenDistributions) {
  auto data = annotations({{0, .1, .1}, {1, kNone, kNone}, {-1, .1, .1}, {1, .1, .1}});
  data.soft = {{.25f, .75f}, {.5f, .5f}, {.125f, .875f}, {}};
  LabelModelOptions options;
  options.kind = LabelKind::given;
  const LabelModel model = fit_label_model(data, 2, options);
  const SoftLabels soft = soft_labels(model, data, .5);
  EXPECT_EQ(row(soft, 0), (std::vector<double>{.625, .375}));
  EXPECT_EQ(row(soft, 1), (std::vector<double>{.25, .75}));
  EXPECT_EQ(row(soft, 2), (std::vector<double>{.125, .875}));
  EXPECT_EQ(row(soft, 3), (std::vector<double>{0, 1}));
  data.soft[1] = {1.f};
  EXPECT_THROW(soft_labels(model, data, .5), DataError);
}

TEST(LabelModelTest, RefusesBadInput) {
  const auto data = annotations(clouds(5));
  const auto refused = [&](auto change) {
    LabelModelOptions options;
    change(options);
    EXPECT_THROW(fit_label_model(data, 2, options), ConfigError);
  };
  refused([](auto& o) { o.trim = 0.0; });
  refused([](auto& o) { o.euclid_power = 3; });
  refused([](auto& o) { o.components = 9; });
  refused([](auto& o) { o.max_rounds = 0; });
  refused([](auto& o) { o.tolerance = kNone; });
  EXPECT_THROW(fit_label_model(data, 33, {}), ConfigError);
  EXPECT_THROW(fit_label_model(data, 0, {}), ConfigError);
  EXPECT_THROW(fit_label_model(data, 1, {}), DataError) << "label 1 of 1 class";
  EXPECT_THROW(fit_label_model(annotations({{0, kNone, kNone}}), 2, {}), DataError);
  const LabelModel model = fit_label_model(data, 2, {});
  EXPECT_THROW(soft_labels(model, data, 1.5), ConfigError);
  EXPECT_THROW(soft_labels(model, annotations({{2, .1, .1}}), .5), DataError);
  EXPECT_THROW(model.noise_aware_params(), Error);
  EXPECT_EQ(label_kind_of("euclid"), LabelKind::euclid);
  EXPECT_THROW(label_kind_of("GMM"), ConfigError);
}

TEST(LabelModelTest, OnehotNeedsNoVa) {
  LabelModelOptions options;
  options.kind = LabelKind::onehot;
  options.noise_aware = true;
  const auto data = annotations({{0, kNone, kNone}, {1, kNone, kNone}, {-1, .1, .1}});
  const SoftLabels soft = soft_labels(fit_label_model(data, 2, options), data, .5);
  EXPECT_EQ(soft.p, (std::vector<double>{1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(soft.labels, (std::vector<int>{0, 1, -1}));
}

}  // namespace
}  // namespace affuse
