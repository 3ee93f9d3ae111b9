// The arena: no two live buffers share a byte, and random programs keep what they wrote.
#include "engine/arena.h"

#include <vector>

#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

TensorDesc bytes(std::int64_t n) { return TensorDesc::dense({n}, DType::u8); }

Step step(std::vector<BufferId> reads, std::vector<BufferId> writes) {
  Step s("s");
  s.reads = std::move(reads);
  s.writes = std::move(writes);
  return s;
}

Program random_program(std::uint64_t seed) {
  Philox random(seed, Purpose::test);
  Program p;
  const int buffers = 1 + static_cast<int>(random.below(40));
  for (int i = 0; i < buffers; ++i) {
    const Life life = random.below(8) == 0   ? Life::held
                      : random.below(8) == 0 ? Life::input
                      : random.below(8) == 0 ? Life::output
                      : random.below(8) == 0 ? Life::external
                                             : Life::transient;
    p.add("b" + std::to_string(i), bytes(random.below(5000)), life);
  }
  const int steps = 1 + static_cast<int>(random.below(60));
  const auto any = [&] {
    return static_cast<BufferId>(random.below(static_cast<unsigned>(buffers)));
  };
  for (int i = 0; i < steps; ++i) p.steps.push_back(step({any(), any()}, {any()}));
  return p;
}

TEST(Arena, OverlappingLifetimesNeverShareBytes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Program p = random_program(seed);
    const ArenaPlan plan = place(p, 64);
    EXPECT_GE(plan.bytes, plan.peak);
    for (std::size_t a = 0; a < plan.placements.size(); ++a) {
      const Placement& x = plan.placements[a];
      if (!x.in_arena) continue;
      EXPECT_EQ(x.offset % 64, 0u);
      EXPECT_GE(x.bytes, p.buffers[a].desc.bytes);
      EXPECT_LE(x.offset + x.bytes, plan.bytes);
      for (std::size_t b = a + 1; b < plan.placements.size(); ++b) {
        const Placement& y = plan.placements[b];
        if (!y.in_arena || x.last < y.first || y.last < x.first) continue;
        EXPECT_TRUE(x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset)
            << "seed " << seed << ": buffers " << a << " and " << b;
      }
    }
  }
}

TEST(Arena, LifetimesFollowUse) {
  Program p;
  const BufferId in = p.add("in", bytes(64), Life::input);
  const BufferId mid = p.add("mid", bytes(64));
  const BufferId out = p.add("out", bytes(64), Life::output);
  const BufferId held = p.add("held", bytes(64), Life::held);
  const BufferId outside = p.add("outside", bytes(1 << 20), Life::external);
  p.steps = {step({outside}, {held}), step({in}, {mid}), step({mid}, {out}),
             step({held}, {outside})};
  const ArenaPlan plan = place(p, 64);
  const auto life = [&](BufferId id) {
    const Placement& x = plan.placements[static_cast<std::size_t>(id)];
    return std::pair(x.first, x.last);
  };
  EXPECT_EQ(life(in), std::pair(0, 1));
  EXPECT_EQ(life(mid), std::pair(1, 2));
  EXPECT_EQ(life(out), std::pair(2, 3));
  EXPECT_EQ(life(held), std::pair(0, 3));
  EXPECT_FALSE(plan.placements[static_cast<std::size_t>(outside)].in_arena);
  EXPECT_EQ(plan.peak, 3u * 64);
}

TEST(Arena, SequentialBuffersShareOnePlace) {
  Program p;
  std::vector<BufferId> chain;
  for (int i = 0; i < 10; ++i) chain.push_back(p.add("c" + std::to_string(i), bytes(4096)));
  p.steps.push_back(step({}, {chain[0]}));
  for (std::size_t i = 1; i < chain.size(); ++i)
    p.steps.push_back(step({chain[i - 1]}, {chain[i]}));
  EXPECT_EQ(place(p).bytes, 2u * 4096);
}

TEST(Program, FindNamesWhatIsMissing) {
  Program p;
  p.name = "train";
  p.add("x", bytes(1));
  EXPECT_EQ(p.find("x"), 0);
  try {
    p.find("y");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "program train has no buffer y");
  }
}

TEST(Program, BytesCountAccumulatedBuffersTwice) {
  Program p;
  const BufferId a = p.add("a", bytes(10)), b = p.add("b", bytes(100)), c = p.add("c", bytes(1000)),
                 w = p.add("w", bytes(7), Life::external);
  Step s = step({a, w}, {b});
  s.accumulates = {c};
  s.parameter_bytes = 5;
  EXPECT_EQ(p.bytes(s), 10 + 100 + 2000 + 5);
}

TEST(Shape, CountsAndPrints) {
  const Shape s{3, 5, 7};
  EXPECT_EQ(s.count(), 105);
  EXPECT_EQ(s.text(), "3x5x7");
  EXPECT_EQ(s.batched(2).text(), "2x3x5x7");
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_THROW(s.batched(2).batched(2), Error);
}

}  // namespace
}  // namespace affuse
