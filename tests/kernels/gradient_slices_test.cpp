// Slices cover the gradient buffer once, from its end, each as soon as it is complete.
#include "kernels/gradient_slices.h"

#include <gtest/gtest.h>

namespace affuse {
namespace {

/// Parameters of 10, 6, (running 4), 3 and 20 floats at multiples of 16.
ParameterLayout layout() {
  ParameterLayout l;
  l.slots = {{0, 10, false}, {16, 6, false}, {0, 4, true}, {32, 3, false}, {48, 20, false}};
  l.weights = 80;
  l.running = 16;
  return l;
}

void expect_slice(GradientSlices& slices, bool all, std::size_t offset, std::size_t count) {
  const auto slice = slices.take(all);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->offset, offset);
  EXPECT_EQ(slice->count, count);
}

TEST(GradientSlices, AreTakenFromTheEndWhenTheyAreLargeEnough) {
  GradientSlices slices(layout(), 40);
  EXPECT_FALSE(slices.take(false));
  slices.complete(4);
  EXPECT_FALSE(slices.take(false)) << "32 of 40";
  slices.complete(3);
  expect_slice(slices, false, 32, 48);
  EXPECT_FALSE(slices.take(false));
  slices.complete(1);
  slices.complete(0);
  EXPECT_FALSE(slices.take(false)) << "32 of 40 again";
  expect_slice(slices, true, 0, 32);
  EXPECT_FALSE(slices.take(true));
}

TEST(GradientSlices, WaitForAParameterInBetween) {
  GradientSlices slices(layout(), 1);
  slices.complete(3);
  slices.complete(0);
  EXPECT_FALSE(slices.take(false)) << "the last parameter is missing";
  slices.complete(4);
  expect_slice(slices, false, 32, 48);
  EXPECT_FALSE(slices.take(false));
  slices.complete(1);
  expect_slice(slices, false, 0, 32);
  EXPECT_FALSE(slices.take(true));
}

TEST(GradientSlices, LeaveOutWhatLiesBeforeTheirBegin) {
  GradientSlices slices(layout(), 1, 32);
  slices.complete(4);
  expect_slice(slices, false, 48, 32);
  expect_slice(slices, true, 32, 16);
  EXPECT_FALSE(slices.take(true));
}

}  // namespace
}  // namespace affuse
