// Eq. 2-4 and the noise-aware posterior against direct formulas in long double.
#include "kernels/math/posterior.h"

#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "engine/philox.h"

namespace affuse::math {
namespace {

struct Shape {
  double w, mu_v, mu_a, vv, va, aa;
};

Shape draw_shape(Philox& draw) {
  const double sv = draw.uniform(.03, .4), sa = draw.uniform(.03, .4), r = draw.uniform(-.95, .95);
  return {draw.uniform(.05, 1), draw.uniform(-1, 1),
          draw.uniform(-1, 1),  sv * sv,
          r * sv * sa,          sa * sa};
}

/// w N(x | mu, Sigma) by the inverse of Sigma; the range of long double replaces log space.
long double direct(const Shape& s, double v, double a) {
  const long double dv = v - static_cast<long double>(s.mu_v),
                    da = a - static_cast<long double>(s.mu_a);
  const long double det =
      static_cast<long double>(s.vv) * s.aa - static_cast<long double>(s.va) * s.va;
  const long double q = (s.aa * dv * dv - 2 * s.va * dv * da + s.vv * da * da) / det;
  return s.w * std::exp(-q / 2) / (2 * std::acos(-1.0L) * std::sqrt(det));
}

template <class Real>
Gaussian<Real> gaussian(const Shape& s) {
  return make_gaussian<Real>(Real(s.w), Real(s.mu_v), Real(s.mu_a), Real(s.vv), Real(s.va),
                             Real(s.aa));
}

std::vector<double> normalized(std::vector<long double> p) {
  const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
  std::vector<double> out;
  for (const long double x : p) out.push_back(static_cast<double>(x / sum));
  return out;
}

template <class Real>
void expect_near(const Real* got, const std::vector<double>& want, double tolerance) {
  for (std::size_t k = 0; k < want.size(); ++k) {
    EXPECT_NEAR(static_cast<double>(got[k]), want[k], tolerance) << "class " << k;
  }
}

template <class Real>
void expect_distribution(const Real* p, int classes) {
  double sum = 0;
  for (int k = 0; k < classes; ++k) {
    EXPECT_TRUE(p[k] >= 0 && p[k] <= 1) << "class " << k << ": " << p[k];
    sum += static_cast<double>(p[k]);
  }
  EXPECT_NEAR(sum, 1, 8 * static_cast<double>(std::numeric_limits<Real>::epsilon()));
}

template <class Real>
class PosteriorTest : public testing::Test {
 protected:
  static constexpr bool kDouble = std::is_same_v<Real, double>;
  static constexpr double kTolerance = kDouble ? 1e-12 : 2e-4;
};
using Reals = testing::Types<double, float>;
TYPED_TEST_SUITE(PosteriorTest, Reals);

TYPED_TEST(PosteriorTest, GmmEqualsDirectFormula) {
  Philox draw(1, Purpose::test);
  for (int trial = 0; trial < 300; ++trial) {
    GmmParams<TypeParam> m{};
    m.classes = 1 + static_cast<int>(draw.below(9));
    std::vector<Shape> shapes;
    for (int k = 0; k < m.classes; ++k) shapes.push_back(draw_shape(draw));
    for (int k = 0; k < m.classes; ++k)
      m.gaussian[k] = gaussian<TypeParam>(shapes[static_cast<std::size_t>(k)]);
    const double v = draw.uniform(-1, 1), a = draw.uniform(-1, 1);
    std::vector<long double> want;
    for (const Shape& s : shapes) want.push_back(direct(s, v, a));
    TypeParam p[kMaxClasses];
    gmm_posterior(m, TypeParam(v), TypeParam(a), p);
    expect_near(p, normalized(want), this->kTolerance);
    expect_distribution(p, m.classes);
  }
}

TYPED_TEST(PosteriorTest, GmmFarAwayIsADistribution) {
  GmmParams<TypeParam> m{};
  m.classes = 3;
  m.gaussian[0] = gaussian<TypeParam>({.5, .1, .1, .0001, 0, .0001});
  m.gaussian[1] = gaussian<TypeParam>({.5, -.1, .1, .04, .01, .09});
  m.gaussian[2] = gaussian<TypeParam>({0, 0, 0, 0, 0, 0});  // a class without a point
  for (const double far :
       {1e3, -1e3, 1e15, static_cast<double>(std::numeric_limits<TypeParam>::max())}) {
    TypeParam p[3];
    gmm_posterior(m, TypeParam(far), TypeParam(far), p);
    expect_distribution(p, 3);
    EXPECT_EQ(p[2], 0);
    if (std::abs(far) == 1e3) {
      EXPECT_EQ(p[1], 1) << "the wide class explains a far point";
    }
  }
}

TYPED_TEST(PosteriorTest, EuclidEqualsDirectFormula) {
  Philox draw(2, Purpose::test);
  for (int trial = 0; trial < 300; ++trial) {
    EuclidParams<TypeParam> m{};
    m.classes = 2 + static_cast<int>(draw.below(8));
    m.power = 1 + trial % 2;
    const double v = draw.uniform(-1, 1), a = draw.uniform(-1, 1);
    std::vector<long double> distance, want;
    long double longest = 0;
    for (int k = 0; k < m.classes; ++k) {
      const double mv = draw.uniform(-1, 1), ma = draw.uniform(-1, 1);
      m.mu_v[k] = TypeParam(mv);
      m.mu_a[k] = TypeParam(ma);
      m.present[k] = k != 1;
      const long double d =
          std::hypot(static_cast<long double>(v) - mv, static_cast<long double>(a) - ma);
      distance.push_back(m.power == 1 ? d : d * d);
      if (k != 1) longest = std::max(longest, distance.back());
    }
    for (std::size_t k = 0; k < distance.size(); ++k) {
      want.push_back(k == 1 ? 0 : longest / distance[k]);
    }
    TypeParam p[kMaxClasses];
    euclid_posterior(m, TypeParam(v), TypeParam(a), p);
    expect_near(p, normalized(want), this->kTolerance);
    EXPECT_EQ(p[1], 0);
  }
}

TYPED_TEST(PosteriorTest, EuclidOnACentroidAndFarAway) {
  for (const int power : {1, 2}) {
    EuclidParams<TypeParam> m{4,
                              power,
                              {0, TypeParam(.3), -1, TypeParam(.3)},
                              {0, TypeParam(-.2), 1, 1},
                              {true, true, true, false}};
    TypeParam p[4];
    euclid_posterior(m, m.mu_v[1], m.mu_a[1], p);
    EXPECT_GT(p[1], 1 - 1e-6);
    expect_distribution(p, 4);
    for (const double far : {1e3, static_cast<double>(std::numeric_limits<TypeParam>::max())}) {
      euclid_posterior(m, TypeParam(far), TypeParam(-far), p);
      expect_distribution(p, 4);
      EXPECT_NEAR(static_cast<double>(p[0]), 1. / 3, 1e-2) << "all distances are alike";
      EXPECT_EQ(p[3], 0);
    }
  }
}

/// A mixture with flat noise e, and its shapes.
template <class Real>
NoiseAwareParams<Real> noise_aware(Philox& draw, int classes, int components, double e,
                                   std::vector<Shape>& shapes) {
  NoiseAwareParams<Real> m{};
  m.classes = classes;
  m.components = components;
  for (int i = 0; i < classes * components; ++i) {
    shapes.push_back(draw_shape(draw));
    m.gaussian[i] = gaussian<Real>(shapes.back());
  }
  for (int y = 0; y < classes; ++y) {
    for (int k = 0; k < classes; ++k) {
      const double t = y == k ? 1 - e : e / (classes - 1);
      m.log_t[y * classes + k] = Real(t > 0 ? std::log(t) : kLogZero);
    }
  }
  return m;
}

TYPED_TEST(PosteriorTest, NoiseAwareEqualsDirectFormula) {
  Philox draw(3, Purpose::test);
  for (int trial = 0; trial < 200; ++trial) {
    const int classes = 2 + trial % 7, components = 1 + trial % 4;
    const double e = trial % 5 == 0 ? 0.0 : draw.uniform(.01, .5);
    std::vector<Shape> shapes;
    const auto m = noise_aware<TypeParam>(draw, classes, components, e, shapes);
    const double v = draw.uniform(-1, 1), a = draw.uniform(-1, 1);
    for (int y = -1; y < classes; ++y) {
      std::vector<long double> want;
      long double evidence = 0;
      for (int k = 0; k < classes; ++k) {
        long double density = 0;
        for (int c = 0; c < components; ++c) {
          density += direct(shapes[static_cast<std::size_t>(k * components + c)], v, a);
        }
        const double t = y < 0 ? 1 : y == k ? 1 - e : e / (classes - 1);
        want.push_back(t * density);
        evidence += want.back();
      }
      TypeParam p[kMaxClasses];
      const auto log_p =
          static_cast<double>(noise_aware_posterior(m, TypeParam(v), TypeParam(a), y, p));
      expect_near(p, normalized(want), this->kTolerance);
      const double log_want = static_cast<double>(std::log(evidence));
      EXPECT_NEAR(log_p, log_want, this->kTolerance * (1 + std::abs(log_want)));
    }
  }
}

TYPED_TEST(PosteriorTest, NoiseAwareNastyPoints) {
  Philox draw(4, Purpose::test);
  std::vector<Shape> shapes;
  auto m = noise_aware<TypeParam>(draw, 3, 2, 0, shapes);
  m.gaussian[2] = m.gaussian[3] = gaussian<TypeParam>({0, 0, 0, 0, 0, 0});
  TypeParam p[3];
  noise_aware_posterior(m, TypeParam(1e3), TypeParam(-1e3), -1, p);
  expect_distribution(p, 3);
  EXPECT_EQ(p[1], 0);
  noise_aware_posterior(m, TypeParam(0), TypeParam(0), 1, p);  // impossible: no noise, no component
  for (const TypeParam x : p) EXPECT_NEAR(static_cast<double>(x), 1. / 3, 1e-6);
  noise_aware_posterior(m, TypeParam(1e3), TypeParam(0), 2, p);  // no noise: the annotation decides
  EXPECT_EQ(p[2], 1);
}

TEST(FusionTest, Equation4) {
  const double p_va[3] = {.2, .5, .3};
  for (const double alpha : {0., .3, .5, 1.}) {
    double out[3] = {p_va[0], p_va[1], p_va[2]};
    fuse(alpha, 2, out, 3, out);  // in place
    EXPECT_DOUBLE_EQ(out[0], (1 - alpha) * .2);
    EXPECT_DOUBLE_EQ(out[1], (1 - alpha) * .5);
    EXPECT_DOUBLE_EQ(out[2], alpha + (1 - alpha) * .3);
    expect_distribution(out, 3);
  }
}

TEST(FusionTest, ArgmaxTakesTheFirstOfEquals) {
  const double p[4] = {.1, .4, .4, .1};
  EXPECT_EQ(argmax(p, 4), 1);
}

}  // namespace
}  // namespace affuse::math
