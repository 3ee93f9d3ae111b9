// Mixup on the CPU: the blend of images alone, and the losses of mixed samples against blends of
// the plain losses in double and against finite differences.
#include "kernels/cpu/mixup.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/affect_loss.h"
#include "tests/kernels/blocked.h"

namespace affuse::cpu {
namespace {

using blocked::Threads;
using math::ClassWeightMode;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
std::vector<T> random_rows(int n, std::size_t elements) {
  std::mt19937 g(static_cast<unsigned>(n));
  std::normal_distribution<float> normal(0, 2);
  std::vector<T> x(static_cast<std::size_t>(n) * elements);
  for (T& value : x) from_float(normal(g), value);
  return x;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Every row against the blend in double; rows without a partner to the bit.
template <class T>
void expect_blended(int n, int valid, std::size_t elements, float mix) {
  SCOPED_TRACE(::testing::Message()
               << valid << " of " << n << " rows of " << elements << ", mix " << mix);
  auto x = random_rows<T>(n, elements);
  for (std::size_t i = static_cast<std::size_t>(valid) * elements; i < x.size(); ++i)
    from_float(kNan, x[i]);
  const auto before = x;
  mixup(x.data(), elements, valid, mix);
  const double unit = sizeof(T) == 2 ? 4e-3 : 1e-6;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / elements, rows = static_cast<std::size_t>(valid);
    if (row >= rows || rows - 1 - row == row) {
      ASSERT_EQ(std::memcmp(&x[i], &before[i], sizeof(T)), 0) << i;
      continue;
    }
    const double own = double{to_float(before[i])},
                 other = double{to_float(before[(rows - 1 - row) * elements + i % elements])};
    const double m = double{mix}, want = m * own + (1 - m) * other;
    ASSERT_NEAR(double{to_float(x[i])}, want, unit * (std::abs(own) + std::abs(other))) << i;
  }
}

TEST(Mixup, BlendsEachRowWithItsMirror) {
  for (const int threads_now : {1, 2}) {
    const Threads threads(threads_now);
    for (const auto& [n, valid] : {std::pair{1, 1}, {2, 2}, {3, 2}, {6, 5}, {4, 0}})
      for (const std::size_t elements : {1u, 7u, 8u, 9u, 16384u, 16391u})
        for (const float mix : {0.f, 0.3f}) {
          expect_blended<float>(n, valid, elements, mix);
          expect_blended<Bf16>(n, valid, elements, mix);
        }
  }
}

TEST(Mixup, ShareOneChangesNoBit) {
  std::vector<float> x = {-0.f, 1, kNan, std::numeric_limits<float>::infinity(), 2, 3};
  const auto before = x;
  mixup(x.data(), 3, 2, 1.f);
  EXPECT_TRUE(same_bits(x, before));
}

/// A batch of float logits and annotations: soft targets, some rows without class or VA.
struct Batch {
  int n, valid;
  math::LossSettings settings;
  std::vector<float> logits, va_hat, q, va;
  std::vector<std::int32_t> label;
  std::vector<std::uint8_t> has_va;

  math::AffectTargets targets() const { return {q.data(), label.data(), va.data(), has_va.data()}; }
};

Batch make_batch(int n, int valid, int k, ClassWeightMode mode) {
  std::mt19937 g(static_cast<unsigned>(n * 100 + k));
  std::normal_distribution<float> normal(0, 3);
  std::uniform_real_distribution<float> unit(-1, 1);
  Batch b{n,  valid, {.coef_ce = 1.5f, .coef_cs = 0.5f, .coef_l2 = 2, .mode = mode, .classes = k},
          {}, {},    {},
          {}, {},    {}};
  for (int i = 0; i < k; ++i) b.settings.class_weight[i] = 1 + 3 * std::abs(unit(g));
  for (int i = 0; i < n; ++i) {
    const std::size_t first = b.q.size();
    float sum = 0;
    for (int j = 0; j < k; ++j) {
      b.logits.push_back(i < valid ? normal(g) : kNan);
      b.q.push_back(std::abs(unit(g)));
      sum += b.q.back();
    }
    for (std::size_t j = first; j < b.q.size(); ++j) b.q[j] /= sum;
    b.label.push_back(i % 5 == 4 ? -1 : i % k);
    b.has_va.push_back(i % 3 != 2);
    for (int j = 0; j < 2; ++j) {
      b.va.push_back(i % 3 != 2 ? unit(g) : kNan);
      b.va_hat.push_back(i < valid ? unit(g) : kNan);
    }
  }
  return b;
}

/// Row `row`'s prediction and its loss against the target of row `of`, in double.
struct Row {
  std::vector<double> z, va_hat, p, d_logits, d_va;
  explicit Row(const Batch& b, int row)
      : z(b.logits.begin() + row * b.settings.classes,
          b.logits.begin() + (row + 1) * b.settings.classes),
        va_hat(b.va_hat.begin() + 2 * row, b.va_hat.begin() + 2 * row + 2),
        p(z.size()),
        d_logits(z.size()),
        d_va(2) {}

  math::LossTerms<double> against(const Batch& b, int of) {
    const auto i = static_cast<std::size_t>(of);
    const std::vector<double> q(b.q.begin() + of * b.settings.classes,
                                b.q.begin() + (of + 1) * b.settings.classes);
    const double va[2] = {double{b.va[2 * i]}, double{b.va[2 * i + 1]}};
    return math::affect_loss<double>(b.settings, z.data(), va_hat.data(),
                                     {q.data(), b.label[i], va, b.has_va[i] != 0}, 1.0, p.data(),
                                     d_logits.data(), d_va.data());
  }
  double total(const Batch& b, int of) {
    const auto t = against(b, of);
    return b.settings.coef_ce * t.ce + b.settings.coef_cs * t.cs + b.settings.coef_l2 * t.l2;
  }
  /// m L(own) + (1 - m) L(partner).
  double mixed(const Batch& b, int row, double m) {
    return m * total(b, row) + (1 - m) * total(b, b.valid - 1 - row);
  }
};

struct Output {
  explicit Output(const Batch& b)
      : d_logits(b.logits.size(), kNan),
        d_va(b.va.size(), kNan),
        terms(static_cast<std::size_t>(b.n) * 3, kNan),
        probabilities(b.logits.size(), kNan) {}
  BatchLoss run(const Batch& b, float scale, float mix) {
    return affect_loss_forward_backward(
        b.settings, b.logits.data(), b.va_hat.data(), b.targets(), b.n, b.valid,
        {d_logits.data(), d_va.data(), terms.data(), probabilities.data()}, scale, mix);
  }
  std::vector<float> d_logits, d_va, terms, probabilities;
};

template <class Test>
void for_all(Test test) {
  using enum ClassWeightMode;
  for (const auto mode : {sample, per_class, soft, none})
    for (const int k : {2, 7, 8, 32})
      for (const auto& [n, valid] : {std::pair{1, 1}, {2, 2}, {13, 13}, {40, 37}, {5, 0}})
        for (const float mix : {0.f, 0.3f, 0.75f}) {
          SCOPED_TRACE(::testing::Message() << valid << " of " << n << ", K " << k << ", mode "
                                            << int(mode) << ", mix " << mix);
          test(make_batch(n, valid, k, mode), mix);
        }
}

TEST(MixupLoss, EqualsTheBlendOfBothTargetsLossesInDouble) {
  for_all([](const Batch& b, float mix) {
    Output out(b);
    const BatchLoss loss = out.run(b, 1, mix);
    EXPECT_TRUE(loss.finite);
    const double m = double{mix}, n = std::max(b.valid, 1);
    double total = 0;
    for (int row = 0; row < b.valid; ++row) {
      const int partner = b.valid - 1 - row;
      Row a(b, row), c(b, row);
      const auto own = a.against(b, row), other = c.against(b, partner);
      const auto i = static_cast<std::size_t>(row);
      const auto k = a.z.size();
      for (std::size_t j = 0; j < k; ++j) {
        EXPECT_NEAR(out.probabilities[i * k + j], a.p[j], 1e-6);
        EXPECT_NEAR(out.d_logits[i * k + j], (m * a.d_logits[j] + (1 - m) * c.d_logits[j]) / n,
                    1e-5 / n);
      }
      for (std::size_t j = 0; j < 2; ++j)
        EXPECT_NEAR(out.d_va[2 * i + j], (m * a.d_va[j] + (1 - m) * c.d_va[j]) / n, 1e-5 / n);
      const double want[3] = {m * own.ce + (1 - m) * other.ce, m * own.cs + (1 - m) * other.cs,
                              m * own.l2 + (1 - m) * other.l2};
      for (std::size_t j = 0; j < 3; ++j)
        EXPECT_NEAR(out.terms[3 * i + j], want[j], 1e-5 * (1 + want[j]));
      total += a.mixed(b, row, m) / n;
    }
    EXPECT_NEAR(loss.total(b.settings), total, 1e-5 * (1 + total));
    for (std::size_t i = 3 * static_cast<std::size_t>(b.valid); i < out.terms.size(); ++i)
      EXPECT_EQ(out.terms[i], 0.f);
  });
}

TEST(MixupLoss, GradientsAreFiniteDifferencesOfTheBlend) {
  for_all([](const Batch& b, float mix) {
    Output out(b);
    out.run(b, 3, mix);
    const double n = std::max(b.valid, 1), h = 1e-5;
    for (int row = 0; row < b.valid; ++row) {
      Row r(b, row);
      const auto slope = [&](double& x) {
        const double at = x;
        x = at + h;
        const double up = r.mixed(b, row, double{mix});
        x = at - h;
        const double down = r.mixed(b, row, double{mix});
        x = at;
        return 3 / n * (up - down) / (2 * h);
      };
      const auto i = static_cast<std::size_t>(row);
      for (std::size_t j = 0; j < r.z.size(); ++j)
        EXPECT_NEAR(out.d_logits[i * r.z.size() + j], slope(r.z[j]), 3e-5 / n);
      for (std::size_t j = 0; j < 2; ++j)
        EXPECT_NEAR(out.d_va[2 * i + j], slope(r.va_hat[j]), 6e-5 / n);
    }
  });
}

TEST(MixupLoss, ShareOneChangesNoBit) {
  for_all([](const Batch& b, float) {
    Output plain(b), mixed(b);
    const BatchLoss want = affect_loss_forward_backward(
        b.settings, b.logits.data(), b.va_hat.data(), b.targets(), b.n, b.valid,
        {plain.d_logits.data(), plain.d_va.data(), plain.terms.data(), plain.probabilities.data()},
        2);
    EXPECT_EQ(mixed.run(b, 2, 1).ce, want.ce);
    EXPECT_TRUE(same_bits(plain.d_logits, mixed.d_logits) && same_bits(plain.d_va, mixed.d_va));
    EXPECT_TRUE(same_bits(plain.terms, mixed.terms));
  });
}

}  // namespace
}  // namespace affuse::cpu
