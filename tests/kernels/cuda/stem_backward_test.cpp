// The fused stem's backward on the emulated GPU against double precision and finite differences.
#include "kernels/cuda/norm.h"
#include "tests/kernels/cuda/stem_problem.h"

namespace affuse {
namespace {

using gpu_kernels::kDeadWindow;
using gpu_kernels::PoolMaps;
using nhwc::Floats;
using nhwc::rounding;
using nhwc::same_bits;
using nhwc::Worst;
using stem::first_maximum;
using stem::odd_stems;
using stem::Problem;

template <class T>
class CudaStemBackward : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaStemBackward, Types);

/// Of sums whose normalised values are reckoned from a rounded y. In fp32 the largest
/// beta / gamma of these tests, 700, counts.
template <class T>
constexpr double most_error_from_y = std::max(0x1p-9, rounding<T>);
template <>
inline constexpr double most_error_from_y<float> = 700 * 0x1p-24;

/// One channel's gradients by the equations, from the stored index.
struct Expected {
  std::vector<double> g;  ///< [n h w], unpooled
  double dbeta = 0, dgamma = 0;
  double size = 1e-3;  ///< of the sum's terms: sqrt(sum g^2 (1 + |v|)^2)
};

template <class T>
Expected expected(const Problem<T>& t, int c, bool fork, bool keep) {
  const int hw = t.s.in().hw;
  Expected e{std::vector<double>(static_cast<std::size_t>(t.s.n * hw))};
  double squares = 0;
  for (int n = 0; n < t.state->valid; ++n)
    for (int o = 0; o < t.s.out().hw; ++o) {
      const int place = t.index[t.y.place(n, o, c)];
      if (place == kDeadWindow) continue;
      double g = t.dy(n, o, c) + (fork ? t.dy2(n, o, c) : 0);
      if (keep) {
        T stored;
        from_float(static_cast<float>(g), stored);
        g = static_cast<double>(to_float(stored));
      }
      const int p = t.pixel(o, place);
      e.g[static_cast<std::size_t>(n * hw + p)] += g;
      e.dbeta += g;
      e.dgamma += g * t.normal(n, p, c);
      squares += std::pow(g * (1 + std::abs(t.normal(n, p, c))), 2);
    }
  e.size += std::sqrt(squares);
  return e;
}

template <class T>
void expect_equation(const Problem<T>& t, const Problem<T>& before, bool fork, Worst& sums,
                     Worst& gradient) {
  const int hw = t.s.in().hw;
  const double count = t.state->valid * hw;
  for (int c = 0; c < t.s.c; ++c) {
    const auto k = static_cast<std::size_t>(c);
    const Expected e = expected(before, c, fork, fork);
    sums.see(t.dbeta[k], e.dbeta, e.size);
    sums.see(t.dgamma[k], e.dgamma, e.size);
    const double scale = double{t.gamma[k]} * double{t.invstd[k]};
    for (int n = 0; n < t.s.n; ++n)
      for (int p = 0; p < hw; ++p) {
        const double g = e.g[static_cast<std::size_t>(n * hw + p)];
        const double want =
            n < t.state->valid
                ? scale * (g - t.dbeta[k] / count - before.normal(n, p, c) * t.dgamma[k] / count)
                : 0;
        const double room = 2e-6 * std::abs(scale) * (std::abs(g) + 4) + 0x1p-25;
        ASSERT_NEAR(t.dx(n, p, c), want, rounding<T> * std::abs(want) + room) << n << " " << p;
        gradient.see(t.dx(n, p, c), want, std::abs(want) + std::abs(scale) + 1e-6);
      }
  }
}

TYPED_TEST(CudaStemBackward, IsTheComposition) {
  Worst sums("sums"), gradient("dx");
  for (const PoolMaps& s : odd_stems)
    for (const bool fork : {false, true}) {
      Problem<TypeParam> t(s, std::max(1, s.n - 1));
      t.forward();
      for (auto* array : {&t.x, &t.y, &t.dy, &t.dy2}) array->spoil_padding(t.state->valid);
      const auto before = t;
      t.backward(t.arguments(fork, fork));
      expect_equation(t, before, fork, sums, gradient);
    }
  EXPECT_LT(sums.error(), most_error_from_y<TypeParam>);
  EXPECT_LT(gradient.error(), 2 * rounding<TypeParam>);
}

TYPED_TEST(CudaStemBackward, SmallGammaReadsX) {
  const PoolMaps s{2, 8, 16, 17};
  Worst gathered("gathered"), reckoned("from y");
  Problem<TypeParam> t(s, 2);
  t.gamma = {0, 1e-30f, 1e-6f, -1e-6f, 1, -1, 0.9f, 0.3f};
  t.beta = {0.7f, 0.7f, 0.7f, 0.7f, 0, 0.2f, -0.9f, 100.f};
  t.forward();
  t.backward(t.arguments(false, false));
  for (int c = 0; c < s.c; ++c) {
    const auto k = static_cast<std::size_t>(c);
    const Expected e = expected(t, c, false, false);
    const bool far = c < 4 || (c == 7 && !std::is_same_v<TypeParam, float>);
    (far ? gathered : reckoned).see(t.dgamma[k], e.dgamma, e.size);
  }
  EXPECT_LT(gathered.error(), 2e-6);
  EXPECT_LT(reckoned.error(), most_error_from_y<TypeParam>);
}

TYPED_TEST(CudaStemBackward, MayRunInPlaceAndTheSumIsKept) {
  const PoolMaps s{3, 24, 9, 10};
  Problem<TypeParam> fresh(s, 2);
  fresh.forward();
  auto t = fresh;
  t.backward(t.arguments(true, true));
  for (int n = 0; n < s.n; ++n)
    for (int o = 0; o < s.out().hw; ++o)
      for (int c = 0; c < s.c; ++c) {
        TypeParam want;
        from_float(n < 2 ? static_cast<float>(t.dy(n, o, c) + t.dy2(n, o, c)) : 0, want);
        ASSERT_EQ(t.g(n, o, c), static_cast<double>(to_float(want)));
      }
  auto v = fresh;  // as training does: g over dy, dx over x
  auto a = v.arguments(true, true);
  a.g = v.dy.ptr();
  a.dx = v.x.ptr();
  v.backward(a);
  EXPECT_TRUE(same_bits(v.dy.data, t.g.data));
  EXPECT_TRUE(same_bits(v.x.data, t.dx.data));
  EXPECT_TRUE(same_bits(v.dgamma, t.dgamma));

  v = fresh;  // without a place for the sum it is taken twice
  v.backward(v.arguments(true, false));
  Worst worst("not kept");
  for (std::size_t i = 0; i < v.dx.data.size(); ++i)
    worst.see(to_float(v.dx.data[i]), to_float(t.dx.data[i]), 4);
  EXPECT_LT(worst.error(), 2 * rounding<TypeParam>);
}

TYPED_TEST(CudaStemBackward, NoSampleGivesZeros) {
  Problem<TypeParam> t({2, 16, 5, 6}, 2);
  t.forward();
  t.state->valid = 0;
  for (auto* array : {&t.x, &t.y, &t.dy, &t.dy2}) array->spoil_padding(0);
  t.backward(t.arguments(true, true));
  for (const float v : t.dgamma) EXPECT_EQ(v, 0);
  for (const float v : t.dbeta) EXPECT_EQ(v, 0);
  for (const TypeParam v : t.dx.data) EXPECT_EQ(to_float(v), 0);
}

TYPED_TEST(CudaStemBackward, NanIsAlive) {
  const PoolMaps s{1, 8, 5, 5};
  Problem<TypeParam> t(s, 1);
  t.x.set(0, 12, 0, NAN);
  t.forward();
  t.backward(t.arguments(false, false));
  EXPECT_TRUE(std::isnan(t.dgamma[0]));
  EXPECT_FALSE(std::isnan(t.dgamma[2]));
}

TYPED_TEST(CudaStemBackward, BitsDoNotDependOnTheOrder) {
  Problem<TypeParam> fresh({3, 24, 19, 22}, 2);
  fresh.forward();
  auto first = fresh;
  first.backward(first.arguments(true, true));
  for_each_order([&] {
    auto t = fresh;
    auto a = t.arguments(true, true);
    a.g = t.dy.ptr();
    a.dx = t.x.ptr();
    t.backward(a);
    EXPECT_TRUE(same_bits(t.x.data, first.dx.data));
    EXPECT_TRUE(same_bits(t.dgamma, first.dgamma));
    EXPECT_TRUE(same_bits(t.dbeta, first.dbeta));
  });
}

/// sum dy y of one channel in double, as a function of its inputs x [valid h w].
double loss(const Problem<float>& t, const std::vector<double>& x, int c, double gamma,
            double beta) {
  const int hw = t.s.in().hw;
  double mean = 0, var = 0, sum = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  for (const double v : x) var += (v - mean) * (v - mean) / static_cast<double>(x.size());
  const double scale = gamma / std::sqrt(var + 1e-5);
  for (int n = 0; n < t.state->valid; ++n)
    for (int o = 0; o < t.s.out().hw; ++o) {
      const auto z = [&](int p) {
        return (x[static_cast<std::size_t>(n * hw + p)] - mean) * scale + beta;
      };
      sum += t.dy(n, o, c) * std::max(0.0, first_maximum(t.s, o, z).value);
    }
  return sum;
}

TEST(CudaStemTraining, GradientsAreFiniteDifferences) {
  const PoolMaps s{3, 8, 5, 6};
  Problem<float> t(s, 2);
  gpu_kernels::bn_statistics<float>(
      {.x = t.x.ptr(),
       .eps = 1e-5f,
       .partial = DeviceVector<char>(gpu_kernels::bn_partial_bytes(s.in())).data(),
       .mean = t.mean.data(),
       .invstd = t.invstd.data(),
       .state = t.state.get()},
      s.in(), nullptr);
  t.forward();
  t.backward(t.arguments(false, false));
  const double h = 1e-6;
  for (int c = 0; c < s.c; ++c) {
    const auto k = static_cast<std::size_t>(c);
    std::vector<double> x;
    for (int n = 0; n < 2; ++n)
      for (int p = 0; p < s.in().hw; ++p) x.push_back(t.x(n, p, c));
    const double gamma = t.gamma[k], beta = t.beta[k];
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const double slope = (loss(t, up, c, gamma, beta) - loss(t, down, c, gamma, beta)) / (2 * h);
      const int n = static_cast<int>(i) / s.in().hw, p = static_cast<int>(i) % s.in().hw;
      EXPECT_NEAR(t.dx(n, p, c), slope, 1e-5) << c << " " << i;
    }
    const auto slope = [&](double dg, double db) {
      return (loss(t, x, c, gamma + dg, beta + db) - loss(t, x, c, gamma - dg, beta - db)) /
             (2 * h);
    };
    EXPECT_NEAR(t.dbeta[k], slope(0, h), 1e-5);
    if (gamma == 0) continue;  // the maximum's place jumps
    EXPECT_NEAR(t.dgamma[k], slope(h, 0), 1e-5 + 10 * 0x1p-24 * std::abs(beta / gamma)) << c;
  }
}

}  // namespace
}  // namespace affuse
