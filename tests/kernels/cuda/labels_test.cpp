// The posteriors and label fusion alone: against the math in double and direct formulas.
#include "kernels/cuda/labels.h"

#include <algorithm>
#include <climits>

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/kernels/cuda/affect_problem.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using math::TargetKind;
using testing_affect::elements;
using testing_affect::kNan;
using testing_affect::largest_error;
using testing_affect::make_model;
using testing_affect::same_bits;
using Model = math::TargetModel<float>;

struct Points {
  DeviceVector<float> va;
  DeviceVector<std::int32_t> label;
  int n() const { return static_cast<int>(label.size()); }
};

Points draw_points(int n, int classes) {
  std::mt19937 g(static_cast<unsigned>(n + classes));
  std::uniform_real_distribution<float> unit(-1, 1);
  Points p;
  for (int i = 0; i < n; ++i) {
    p.va.push_back(unit(g));
    p.va.push_back(unit(g));
    p.label.push_back(i % (classes + 1) - 1);
  }
  return p;
}

/// p [n, K] of the kernel that belongs to m.kind.
DeviceVector<float> run_posterior(const Model& m, const Points& x) {
  const DeviceValue<Model> model(m);
  DeviceVector<float> p(elements(x.n(), m.classes), kNan);
  switch (m.kind) {
    case TargetKind::gmm:
      gpu_kernels::gmm_posterior(&model->gmm, m.classes, x.va.data(), x.n(), p.data(), nullptr);
      break;
    case TargetKind::euclid:
      gpu_kernels::euclid_posterior(&model->euclid, m.classes, x.va.data(), x.n(), p.data(),
                                    nullptr);
      break;
    default:
      gpu_kernels::noise_aware_posterior(&model->noise_aware, m.classes, x.va.data(),
                                         x.label.data(), x.n(), p.data(), nullptr);
  }
  return p;
}

/// The same of one point by the math in double.
std::vector<double> reference(const math::TargetModel<double>& m, const Points& x, std::size_t i) {
  const double v = double{x.va[2 * i]}, a = double{x.va[2 * i + 1]};
  std::vector<double> p(static_cast<std::size_t>(m.classes));
  if (m.kind == TargetKind::gmm) math::gmm_posterior(m.gmm, v, a, p.data());
  if (m.kind == TargetKind::euclid) math::euclid_posterior(m.euclid, v, a, p.data());
  if (m.kind == TargetKind::noise_aware)
    math::noise_aware_posterior(m.noise_aware, v, a, x.label[i], p.data());
  return p;
}

/// w N(x | mu, Sigma) by its definition, from the model's inverse Cholesky factor.
long double density(const math::Gaussian<float>& g, double v, double a) {
  const long double dv = v - double{g.mu_v}, da = a - double{g.mu_a};
  const long double z1 = double{g.w11} * dv, z2 = double{g.w21} * dv + double{g.w22} * da;
  return std::exp(static_cast<long double>(g.log_scale)) * std::exp(-(z1 * z1 + z2 * z2) / 2);
}

/// Eq. 2, Eq. 3 and the mixture written out; long double's range replaces log space.
std::vector<double> direct(const Model& m, const Points& x, std::size_t i) {
  const double v = double{x.va[2 * i]}, a = double{x.va[2 * i + 1]};
  std::vector<long double> p;
  for (int k = 0; k < m.classes; ++k) {
    long double score = 0;
    if (m.kind == TargetKind::gmm) score = density(m.gmm.gaussian[k], v, a);
    if (m.kind == TargetKind::euclid && m.euclid.present[k])
      score = std::pow(std::hypot(v - double{m.euclid.mu_v[k]}, a - double{m.euclid.mu_a[k]}),
                       -m.euclid.power);
    const auto& noise = m.noise_aware;
    for (int c = 0; m.kind == TargetKind::noise_aware && c < noise.components; ++c)
      score += density(noise.gaussian[k * noise.components + c], v, a);
    if (m.kind == TargetKind::noise_aware && x.label[i] >= 0)
      score *= std::exp(double{noise.log_t[x.label[i] * m.classes + k]});
    p.push_back(score);
  }
  long double sum = 0;
  for (const long double score : p) sum += score;
  std::vector<double> out;
  for (const long double score : p) out.push_back(static_cast<double>(score / sum));
  return out;
}

constexpr TargetKind kKinds[] = {TargetKind::gmm, TargetKind::euclid, TargetKind::noise_aware};

template <class Test>
void for_all(Test test) {
  for (const TargetKind kind : kKinds)
    for (const int classes : {1, 2, 7, 8, 32})
      for (const int n : {1, 37, 256}) {
        std::mt19937 g(static_cast<unsigned>(classes));
        SCOPED_TRACE(::testing::Message()
                     << "target " << int(kind) << ", K " << classes << ", n " << n);
        test(*make_model(kind, classes, g), draw_points(n, classes));
      }
}

TEST(CudaLabels, EqualTheDoubleMathAndTheDirectFormulas) {
  for_all([](const Model& m, const Points& x) {
    const auto p = run_posterior(m, x);
    const auto wide = testing_affect::in_double(m);
    double worst = 0, worst_direct = 0;
    for (std::size_t i = 0; i < x.label.size(); ++i) {
      const float* row = &p[i * static_cast<std::size_t>(m.classes)];
      const auto want = reference(*wide, x, i), formula = direct(m, x, i);
      worst = std::max(worst, largest_error(row, want.data(), want.size()));
      worst_direct = std::max(worst_direct, largest_error(row, formula.data(), formula.size()));
    }
    EXPECT_LE(worst, 2e-6);
    EXPECT_LE(worst_direct, 2e-6);
  });
}

TEST(CudaLabels, TheSameBitsInEveryOrder) {
  for_all([](const Model& m, const Points& x) {
    if (x.n() != 37) return;
    const auto first = run_posterior(m, x);
    for_each_order([&] { EXPECT_TRUE(same_bits(run_posterior(m, x), first)); });
  });
}

TEST(CudaLabels, NastyPointsGiveADistribution) {
  for_all([](const Model& m, const Points&) {
    Points x;
    for (const float far : {0.f, 1e3f, -1e15f, std::numeric_limits<float>::max()})
      x.va.insert(x.va.end(), {far, -far});
    for (int k = 0; k < m.classes; ++k)  // on every mean, that of an absent class too
      x.va.insert(x.va.end(), {m.euclid.mu_v[k], m.euclid.mu_a[k]});
    for (std::size_t i = 0; i < x.va.size() / 2; ++i)
      x.label.push_back(static_cast<int>(i) % (m.classes + 1) - 1);
    const auto p = run_posterior(m, x);
    for (std::size_t i = 0; i < x.label.size(); ++i) {
      double sum = 0;
      for (int k = 0; k < m.classes; ++k) {
        const float share =
            p[elements(static_cast<int>(i), m.classes) + static_cast<std::size_t>(k)];
        EXPECT_TRUE(share >= 0 && share <= 1) << "point " << i << ", class " << k << ": " << share;
        sum += double{share};
        if (m.classes > 2 && k == 1) {
          EXPECT_EQ(share, 0) << "a class without a point";
        }
      }
      EXPECT_NEAR(sum, 1, 1e-5);
    }
  });
}

TEST(CudaLabels, APointOnACentroidIsItsClass) {
  std::mt19937 g(5);
  const auto m = make_model(TargetKind::euclid, 8, g);
  const Points x{{m->euclid.mu_v[4], m->euclid.mu_a[4]}, {-1}};
  EXPECT_GT(run_posterior(*m, x)[4], 1 - 1e-6f);
}

TEST(CudaLabels, AnImpossibleAnnotationIsUniform) {
  std::mt19937 g(6);
  const auto m = make_model(TargetKind::noise_aware, 3, g);  // class 1 has no component
  for (int y = 0; y < 3; ++y)
    for (int k = 0; k < 3; ++k)
      m->noise_aware.log_t[y * 3 + k] = y == k ? 0 : static_cast<float>(math::kLogZero);
  const auto p = run_posterior(*m, {{.1f, .2f}, {1}});
  for (const float share : p) EXPECT_NEAR(share, 1. / 3, 1e-6);
}

TEST(CudaLabels, ForeignLabelsCountAsNone) {
  std::mt19937 g(7);
  const auto m = make_model(TargetKind::noise_aware, 8, g);
  Points x = draw_points(5, 8);
  x.label = {-1, -1, -1, -1, -1};
  const auto want = run_posterior(*m, x);
  x.label = {8, -2, INT_MAX, INT_MIN, 1 << 20};
  EXPECT_TRUE(same_bits(run_posterior(*m, x), want));
}

TEST(CudaLabelFusion, Equation4InPlaceToo) {
  for (const int classes : {1, 2, 7, 8, 32})
    for (const int n : {1, 37, 256})
      for (const float alpha : {0.f, .3f, 1.f}) {
        std::mt19937 g(static_cast<unsigned>(n));
        std::uniform_real_distribution<float> unit(0, 1);
        DeviceVector<float> p(elements(n, classes)), out(p.size(), kNan);
        DeviceVector<std::int32_t> label(elements(n, 1));
        for (float& x : p) x = unit(g);
        for (std::size_t i = 0; i < label.size(); ++i)
          label[i] = static_cast<int>(i) % (classes + 2) - 1;  // the last of them is foreign
        gpu_kernels::fuse_labels(alpha, label.data(), p.data(), n, classes, out.data(), nullptr);
        for (std::size_t i = 0; i < p.size(); ++i) {
          const auto k = static_cast<int>(i) % classes, own = label[i / std::size_t(classes)];
          const bool none = own < 0 || own >= classes;
          const double fused = (1 - double{alpha}) * double{p[i]} + (k == own ? double{alpha} : 0);
          EXPECT_NEAR(out[i], none ? double{p[i]} : fused, none ? 0 : 1.2e-7);
        }
        for_each_order([&] {
          DeviceVector<float> in_place = p;
          gpu_kernels::fuse_labels(alpha, label.data(), in_place.data(), n, classes,
                                   in_place.data(), nullptr);
          EXPECT_TRUE(same_bits(in_place, out));
        });
      }
}

TEST(CudaLabels, RefuseClassesThatDoNotFit) {
  for (const int classes : {0, 33}) {
    EXPECT_THROW(gpu_kernels::gmm_posterior(nullptr, classes, nullptr, 1, nullptr, nullptr), Error);
    EXPECT_THROW(gpu_kernels::euclid_posterior(nullptr, classes, nullptr, 1, nullptr, nullptr),
                 Error);
    EXPECT_THROW(
        gpu_kernels::noise_aware_posterior(nullptr, classes, nullptr, nullptr, 1, nullptr, nullptr),
        Error);
    EXPECT_THROW(gpu_kernels::fuse_labels(0, nullptr, nullptr, 1, classes, nullptr, nullptr),
                 Error);
  }
}

}  // namespace
}  // namespace affuse
