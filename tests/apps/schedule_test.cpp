// Learning rates against torch's definitions, written out.
#include "apps/trainer/schedule.h"

#include <cmath>

#include "gtest/gtest.h"

namespace affuse {
namespace {

Config config(Config::Schedule::Kind kind) {
  Config c;
  c.optimizer.lr = 0.01;
  c.schedule.kind = kind;
  c.train.epochs = 10;
  return c;
}

TEST(Schedule, StepHalvesEveryFewEpochs) {
  Config c = config(Config::Schedule::Kind::step);
  c.schedule.step_epochs = 3;
  c.schedule.gamma = 0.5;
  const Schedule s(c, 7);
  for (int step = 0; step < 70; ++step)
    EXPECT_DOUBLE_EQ(s.rate(step), 0.01 * std::pow(0.5, step / 7 / 3)) << step;
}

TEST(Schedule, CosineFallsFromLrToMinLr) {
  Config c = config(Config::Schedule::Kind::cosine);
  c.schedule.warmup_steps = 20;
  c.schedule.min_lr = 0.001;
  const Schedule s(c, 10);
  EXPECT_DOUBLE_EQ(s.rate(0), 0.01 / 20);
  EXPECT_DOUBLE_EQ(s.rate(19), 0.01);
  EXPECT_DOUBLE_EQ(s.rate(20), 0.01);
  EXPECT_NEAR(s.rate(60), 0.001 + 0.009 / 2, 1e-12);
  EXPECT_NEAR(s.rate(100), 0.001, 1e-12);
  for (int step = 20; step < 99; ++step) EXPECT_GT(s.rate(step), s.rate(step + 1));
}

TEST(Schedule, SwaTakesItsOwnRateFromItsStart) {
  Config c = config(Config::Schedule::Kind::constant);
  c.swa.enabled = true;
  c.swa.start_epoch = 8;
  c.swa.lr = 0.005;
  const Schedule s(c, 10);
  EXPECT_DOUBLE_EQ(s.rate(69), 0.01);
  EXPECT_DOUBLE_EQ(s.rate(70), 0.005);
  EXPECT_DOUBLE_EQ(s.rate(99), 0.005);
}

}  // namespace
}  // namespace affuse
