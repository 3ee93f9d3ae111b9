// Sums of arrays against double references at odd sizes, NaN included.
#include "kernels/cpu/elementwise.h"

#include <cmath>
#include <limits>
#include <vector>

#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse::cpu {
namespace {

std::vector<float> values(std::size_t n, std::uint64_t seed) {
  Philox random(seed, Purpose::test);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(random.normal());
  return x;
}

template <class T>
std::vector<T> stored(const std::vector<float>& x) {
  std::vector<T> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) from_float(x[i], out[i]);
  return out;
}

template <class T>
void check(std::size_t n, double tolerance) {
  const std::vector<float> x = values(n, 1), y = values(n, 2);
  const std::vector<T> xs = stored<T>(x);
  std::vector<T> sum = stored<T>(y), relu = stored<T>(y);
  const std::vector<T> before = sum;
  add(x.data(), sum.data(), n);
  add_relu(xs.data(), relu.data(), n, true);
  for (std::size_t i = 0; i < n; ++i) {
    const double a = double{x[i]} + to_float(before[i]);
    const double b = std::max(0.0, double{to_float(xs[i])} + to_float(before[i]));
    EXPECT_NEAR(to_float(sum[i]), a, tolerance * (1 + std::abs(a)));
    EXPECT_NEAR(to_float(relu[i]), b, tolerance * (1 + b));
  }
}

TEST(Elementwise, SumsAtOddSizes) {
  for (const std::size_t n : {1u, 7u, 63u, 16384u, 16385u, 70001u}) {
    check<float>(n, 1e-7);
    check<Bf16>(n, 4e-3);
  }
}

TEST(Elementwise, NanSurvivesRelu) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {nan, 1, -5};
  std::vector<float> y = {0, 1, 1};
  add_relu(x.data(), y.data(), 3, true);
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 2);
  EXPECT_EQ(y[2], 0);
}

}  // namespace
}  // namespace affuse::cpu
