// bfloat16 rounding against the definition.
#include "engine/dtype.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace affuse {
namespace {

TEST(Bf16, RoundsToNearestEven) {
  for (std::uint32_t high = 0; high < 0x7F80; high += 7) {
    const float low = to_float(Bf16{static_cast<std::uint16_t>(high)});
    const float next = to_float(Bf16{static_cast<std::uint16_t>(high + 1)});
    const float middle = static_cast<float>((double{low} + double{next}) / 2);
    const std::uint16_t even = high % 2 == 0 ? high : high + 1;
    if (high + 1 < 0x7F80) {
      EXPECT_EQ(to_bf16(middle).bits, even);
      EXPECT_EQ(to_bf16(std::nextafter(middle, 0.f)).bits, high);
      EXPECT_EQ(to_bf16(std::nextafter(middle, next)).bits, high + 1);
    }
    EXPECT_EQ(to_bf16(low).bits, high);
    EXPECT_EQ(to_bf16(-low).bits, high | 0x8000u);
  }
}

TEST(Bf16, KeepsNanAndInfinity) {
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_float(to_bf16(inf)), inf);
  EXPECT_EQ(to_float(to_bf16(std::numeric_limits<float>::max())), inf);
}

}  // namespace
}  // namespace affuse
