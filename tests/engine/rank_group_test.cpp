// Collectives, partings and losses among ranks that are threads.
#include "engine/rank_group.h"

#include <atomic>
#include <chrono>
#include <future>

#include "engine/error.h"
#include "tests/engine/local_ranks.h"

namespace affuse::test {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(RankGroup, ASingleProcessNeedsNoOthers) {
  RankGroup alone;
  double x[] = {1, -2};
  alone.sum(x, 2);
  alone.max(x, 2);
  alone.barrier();
  EXPECT_EQ(x[0], 1);
  EXPECT_EQ(x[1], -2);
  EXPECT_EQ(alone.broadcast("text"), "text");
  EXPECT_TRUE(alone.first());
  alone.leave();
}

TEST(RankGroup, SumsMaximaAndBroadcasts) {
  for (const int size : {2, 5})
    for_each_group(size, [size](const std::shared_ptr<RankGroup>& group) {
      const int r = group->rank();
      // 0.1 + 1e9 - 1e9 ...: the order shows in the bits.
      std::vector<float> large(300001);
      for (std::size_t i = 0; i < large.size(); ++i)
        large[i] = (r % 2 == 0 ? 1e9f : -1e9f) + static_cast<float>(i) + 0.1f;
      group->sum(large.data(), large.size());
      for (const std::size_t i : {std::size_t{0}, large.size() - 1}) {
        float want = 1e9f + static_cast<float>(i) + 0.1f;
        for (int k = 1; k < size; ++k)
          want += (k % 2 == 0 ? 1e9f : -1e9f) + static_cast<float>(i) + 0.1f;
        EXPECT_EQ(large[i], want);
      }
      double most[] = {static_cast<double>(r), static_cast<double>(-r)};
      group->max(most, 2);
      EXPECT_EQ(most[0], size - 1);
      EXPECT_EQ(most[1], 0);
      EXPECT_EQ(group->broadcast(r == 0 ? std::string("the first's\0text", 16) : "mine"),
                std::string("the first's\0text", 16));
      EXPECT_EQ(group->broadcast(std::string()), "");
    });
}

TEST(RankGroup, NobodyPassesTheBarrierBeforeTheLast) {
  std::atomic<int> arrived{0};
  for_each_group(3, [&](const std::shared_ptr<RankGroup>& group) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30 * group->rank()));
    ++arrived;
    group->barrier();
    EXPECT_EQ(arrived, 3);
  });
}

TEST(RankGroup, ALongWaitIsNoLoss) {
  for_each_rank(2, [](int rank, const Ranks& ranks) {
    RankGroup group(ranks, 0.5, [](const std::string& line) { ADD_FAILURE() << line; });
    if (rank == 0) std::this_thread::sleep_for(std::chrono::seconds(2));  // validates
    group.barrier();
    group.leave();
  });
}

TEST(RankGroup, OneThatFailsIsNamedToAllAtOnce) {
  std::atomic<int> told{0};
  for_each_rank(3, [&](int rank, const Ranks& ranks) {
    const auto begin = Clock::now();
    RankGroup group(ranks, 60, [&](const std::string& line) {
      EXPECT_TRUE(line.starts_with("rank 1 (")) << line;
      EXPECT_TRUE(line.ends_with("; this rank stops")) << line;
      EXPECT_NE(line.find(", process "), std::string::npos) << line;
      ++told;
    });
    if (rank == 1) return;  // without leave()
    try {
      group.barrier();
      ADD_FAILURE() << "the barrier opened";
    } catch (const Error& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("rank 1 (")) << e.what();
    }
    EXPECT_LT(seconds_since(begin), 10);
  });
  EXPECT_EQ(told, 2);
}

TEST(RankGroup, WhoDoesNotComeIsNamed) {
  try {
    const RankGroup group(local_rank(0, 3, free_port()), 0.2, {});
    ADD_FAILURE() << "alone among three";
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("rank 1, rank 2 did not come")) << e.what();
  }
  try {
    const RankGroup group(local_rank(1, 2, free_port()), 0.2, {});
    ADD_FAILURE() << "no rank 0";
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("rank 0 does not answer")) << e.what();
  }
}

TEST(RankGroup, StrangersAreTurnedAway) {
  const int port = free_port();
  auto first = std::async(std::launch::async, [port] {
    RankGroup group(local_rank(0, 2, port), 20, {});
    group.barrier();
    group.leave();
  });
  // Another job's rank, and somebody who speaks another language.
  Ranks stranger = local_rank(1, 2, port);
  stranger.job = "other";
  EXPECT_THROW(RankGroup(stranger, 5, {}), Error);
  const auto soon = Clock::now() + std::chrono::seconds(5);
  const std::optional<Socket> other = Socket::connect("127.0.0.1", port, soon);
  ASSERT_TRUE(other);
  const std::string text(500, 'x');
  EXPECT_TRUE(other->send(text.data(), text.size()));
  RankGroup second(local_rank(1, 2, port), 20, {});
  second.barrier();
  second.leave();
  first.get();
}

TEST(RankGroup, AnotherSizeIsRefused) {
  const int port = free_port();
  auto first = std::async(std::launch::async,
                          [port] { const RankGroup group(local_rank(0, 2, port), 20, {}); });
  EXPECT_THROW(RankGroup(local_rank(1, 3, port), 20, {}), Error);
  EXPECT_THROW(first.get(), Error);
}

}  // namespace
}  // namespace affuse::test
