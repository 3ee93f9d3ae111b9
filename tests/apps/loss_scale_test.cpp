// The dynamic loss scale: halves, doubles, and gives up.
#include "apps/trainer/loss_scale.h"

#include "engine/error.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

TEST(LossScale, HalvesOnOverflowAndStartsCountingAnew) {
  LossScale scale;
  for (std::int64_t i = 0; i + 1 < LossScale::kGrowAfter; ++i) scale.update(false);
  EXPECT_EQ(scale.value, LossScale::kStart);
  scale.update(true);
  EXPECT_EQ(scale.value, LossScale::kStart / 2);
  EXPECT_EQ(scale.good_steps, 0);
}

TEST(LossScale, DoublesAfterGoodStepsUpToItsLimit) {
  LossScale scale;
  for (std::int64_t i = 0; i < LossScale::kGrowAfter; ++i) scale.update(false);
  EXPECT_EQ(scale.value, 2 * LossScale::kStart);
  for (std::int64_t i = 0; i < 40 * LossScale::kGrowAfter; ++i) scale.update(false);
  EXPECT_EQ(scale.value, 16777216.f);
}

TEST(LossScale, GivesUpBelowOne) {
  LossScale scale;
  scale.value = 2;
  scale.update(true);
  EXPECT_EQ(scale.value, 1);
  EXPECT_THROW(scale.update(true), Error);
}

}  // namespace
}  // namespace affuse
