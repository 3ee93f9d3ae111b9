// The fused stem on the emulated GPU: forward against batch norm, ReLU and max pool in double.
#include "kernels/cuda/stem.h"

#include "tests/kernels/cuda/stem_problem.h"

namespace affuse {
namespace {

using gpu_kernels::kDeadWindow;
using nhwc::same_bits;
using nhwc::Worst;
using stem::first_maximum;
using stem::odd_stems;
using stem::Problem;

template <class T>
class CudaStem : public testing::Test {};
using Types = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaStem, Types);

TYPED_TEST(CudaStem, ForwardIsTheComposition) {
  Worst worst("y");
  for (const auto& s : odd_stems) {
    Problem<TypeParam> t(s, s.n);
    t.forward();
    for (int n = 0; n < s.n; ++n)
      for (int o = 0; o < s.out().hw; ++o)
        for (int c = 0; c < s.c; ++c) {
          const auto normalised = [&](int p) { return t.normalised(n, p, c); };
          const double want = std::max(0.0, first_maximum(s, o, normalised).value);
          const double got = t.y(n, o, c);
          worst.see(got, want, std::max(1.0, want));
          const int place = t.index[t.y.place(n, o, c)];
          ASSERT_EQ(place == kDeadWindow, !(got > 0));
          if (place == kDeadWindow) continue;
          const int p = t.pixel(o, place);
          ASSERT_GE(p, 0) << "a place outside the map";
          ASSERT_NEAR(normalised(p), want, 4e-6);  // the maximum, or equal to it in fp32
        }
  }
  EXPECT_LT(worst.error(), 1.01 * nhwc::rounding<TypeParam>);
}

TYPED_TEST(CudaStem, TheFirstMaximumWinsAndNanWins) {
  const gpu_kernels::PoolMaps s{1, 8, 5, 5};
  Problem<TypeParam> t(s, 1);
  for (int p = 0; p < 25; ++p)
    for (int c = 0; c < 8; ++c) t.x.set(0, p, c, 0.5f);
  t.x.set(0, 12, 1, NAN);  // the centre
  t.x.set(0, 12, 2, 1);    // a lone maximum
  t.x.set(0, 12, 3, -1);   // a lone minimum
  t.mean.assign(8, 0.25f);
  t.invstd.assign(8, 2);
  t.gamma = {1, 1, 1, 1, -1, 0, 1, 1};
  t.beta = {0, 0, 0, 0, 0, 0.5f, -0.5f, -2};
  t.forward();
  // Windows 0, 1, 4 of 3x3: their first taps inside the map, and the centre's tap in them.
  const int windows[] = {0, 1, 4}, first[] = {4, 3, 0};
  for (int i = 0; i < 3; ++i) {
    const int o = windows[i];
    const auto place = [&](int c) { return int{t.index[t.y.place(0, o, c)]}; };
    EXPECT_EQ(place(0), first[i]) << "a tie";
    EXPECT_EQ(t.y(0, o, 0), 0.5);
    EXPECT_EQ(place(3), first[i]);
    EXPECT_EQ(place(4), kDeadWindow) << "negative";
    EXPECT_EQ(t.y(0, o, 4), 0);
    EXPECT_EQ(place(5), first[i]) << "gamma 0: all alike";
    EXPECT_EQ(place(6), kDeadWindow) << "exactly 0";
    EXPECT_EQ(place(7), kDeadWindow);
  }
  const auto centre = [&](int c) { return int{t.index[t.y.place(0, 4, c)]}; };
  EXPECT_EQ(centre(1), 4);
  EXPECT_TRUE(std::isnan(t.y(0, 4, 1)));
  EXPECT_EQ(centre(2), 4);
  EXPECT_EQ(t.y(0, 4, 2), 1.5);
  EXPECT_FALSE(std::isnan(t.y(0, 0, 1))) << "NaN in a window it does not belong to";
}

TYPED_TEST(CudaStem, AValueThatRoundsToZeroIsDead) {
  const gpu_kernels::PoolMaps s{1, 8, 2, 2};
  Problem<TypeParam> t(s, 1);
  t.mean.assign(8, -10);
  t.invstd.assign(8, 1);
  t.gamma.assign(8, 1e-12f);
  t.beta.assign(8, 0);
  t.forward();
  for (int c = 0; c < 8; ++c) {
    const bool dead = std::is_same_v<TypeParam, Half>;
    EXPECT_EQ(t.y(0, 0, c) > 0, !dead);
    EXPECT_EQ(t.index[static_cast<std::size_t>(c)] == kDeadWindow, dead);
  }
}

TYPED_TEST(CudaStem, BitsDoNotDependOnTheOrderNorOnTheIndex) {
  const gpu_kernels::PoolMaps s{3, 24, 19, 22};
  Problem<TypeParam> first(s, 3);
  first.forward();
  for_each_order([&] {
    Problem<TypeParam> t(s, 3);
    t.forward();
    EXPECT_TRUE(same_bits(t.y.data, first.y.data));
    EXPECT_EQ(t.index, first.index);
    nhwc::Tensor<TypeParam> y(s.out());
    auto a = t.apply_arguments();
    a.index = nullptr;
    a.y = y.ptr();
    gpu_kernels::stem_apply(a, s, nullptr);
    EXPECT_TRUE(same_bits(y.data, first.y.data));
  });
}

}  // namespace
}  // namespace affuse
