// Rounding to 16 bits on the emulated GPU against rounding in double, and back, every number.
#include "kernels/cuda/convert.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;

template <class T>
struct Format;
template <>
struct Format<Half> {
  static constexpr int fraction = 10, least_exponent = -14, greatest_exponent = 15;
};
template <>
struct Format<Bf16> {
  static constexpr int fraction = 7, least_exponent = -126, greatest_exponent = 127;
};

/// The value of a bit pattern, by the definition of the format.
template <class T>
double value_of(unsigned bits) {
  using F = Format<T>;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits & 0x7FFFu) >> F::fraction);
  const double fraction = std::ldexp(bits & ((1u << F::fraction) - 1), -F::fraction);
  if (exponent > F::greatest_exponent + 1 - F::least_exponent)
    return fraction != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(fraction, F::least_exponent)
                               : std::ldexp(1 + fraction, exponent - 1 + F::least_exponent));
}

/// Nearest number of the format, ties to even; NaN stays NaN.
template <class T>
double rounded(float x) {
  using F = Format<T>;
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), F::least_exponent);
  const double unit = std::ldexp(1, exponent - F::fraction);
  const double nearest = std::nearbyint(double{x} / unit) * unit;
  return std::abs(nearest) < std::ldexp(1, F::greatest_exponent + 1) ? nearest
                                                                     : std::copysign(INFINITY, x);
}

bool same(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

template <class T>
DeviceVector<T> narrowed(const DeviceVector<float>& from) {
  DeviceVector<T> to(from.size());
  gpu_kernels::narrow(from.data(), to.data(), from.size(), nullptr);
  return to;
}

template <class T>
DeviceVector<float> widened(const DeviceVector<T>& from) {
  DeviceVector<float> to(from.size());
  gpu_kernels::widen(from.data(), to.data(), from.size(), nullptr);
  return to;
}

template <class T>
DeviceVector<T> all_patterns() {
  DeviceVector<T> x(65536);
  for (unsigned i = 0; i < 65536; ++i) x[i].bits = static_cast<std::uint16_t>(i);
  return x;
}

template <class T>
class CudaConvert : public ::testing::Test {};
using Types = ::testing::Types<Half, Bf16>;
TYPED_TEST_SUITE(CudaConvert, Types);

TYPED_TEST(CudaConvert, WidenIsExactOnAllNumbers) {
  const auto x = widened(all_patterns<TypeParam>());
  for (unsigned i = 0; i < 65536; ++i)
    ASSERT_TRUE(same(x[i], value_of<TypeParam>(i))) << "pattern " << i << " became " << x[i];
}

TYPED_TEST(CudaConvert, NarrowUndoesWiden) {
  const auto patterns = all_patterns<TypeParam>();
  const auto back = narrowed<TypeParam>(widened(patterns));
  for (unsigned i = 0; i < 65536; ++i) {
    if (std::isnan(value_of<TypeParam>(i)))
      ASSERT_TRUE(std::isnan(to_float(back[i]))) << i;
    else
      ASSERT_EQ(back[i].bits, i);
  }
}

TYPED_TEST(CudaConvert, NarrowRoundsToNearestEven) {
  std::mt19937 random(3);
  DeviceVector<float> x;
  for (unsigned i = 0; i < 65536;
       ++i) {  // every number of the format, the tie above it, neighbours
    const float exact = static_cast<float>(value_of<TypeParam>(i));
    const auto bits = std::bit_cast<std::uint32_t>(exact);
    const std::uint32_t half = 1u << (22 - Format<TypeParam>::fraction);
    for (const std::uint32_t b : {bits + half - 1, bits + half, bits + half + 1})
      x.push_back(std::bit_cast<float>(b));
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    x.push_back(std::ldexp(static_cast<float>(random()), static_cast<int>(random() % 45) - 60));
  }
  for (const float special : {65504.f, 65519.996f, 65520.f, 3.3961776e38f, 3.4028235e38f, 1e-45f,
                              2.9802322e-8f, 2.9802326e-8f, 5.9604645e-8f, 0.f})
    x.insert(x.end(), {special, -special});
  const auto got = narrowed<TypeParam>(x);
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_TRUE(same(to_float(got[i]), rounded<TypeParam>(x[i])))
        << x[i] << " became " << to_float(got[i]);
}

TYPED_TEST(CudaConvert, AnyCountInAnyOrderAndNothingBehind) {
  for_each_order([] {
    for (const std::size_t count : {0, 1, 2, 3, 4, 5, 7, 8, 1023, 1024, 1027}) {
      DeviceVector<float> wide(count + 4, -1);
      DeviceVector<TypeParam> narrow(count + 4, TypeParam{0x1234});
      for (std::size_t i = 0; i < count; ++i) wide[i] = static_cast<float>(i % 251);
      const auto before = wide;
      gpu_kernels::narrow(wide.data(), narrow.data(), count, nullptr);
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(to_float(narrow[i]), wide[i]);
      for (std::size_t i = count; i < count + 4; ++i) ASSERT_EQ(narrow[i].bits, 0x1234);
      std::fill_n(wide.begin(), count, NAN);
      gpu_kernels::widen(narrow.data(), wide.data(), count, nullptr);
      ASSERT_EQ(wide, before);
    }
  });
}

}  // namespace
}  // namespace affuse
