// Conversions at the doors of the CPU backend, and the teams of threads beneath all its kernels.
#include "kernels/cpu/convert.h"

#include <atomic>
#include <limits>

#include "engine/error.h"
#include "tests/kernels/blocked.h"

namespace affuse::cpu {
namespace {

using blocked::Tensor;
using blocked::Threads;

TEST(Convert, RoundsLikeTheScalarDefinition) {
  std::vector<float> from;
  for (std::uint32_t i = 0; i < 70001; ++i) {
    from.push_back(std::bit_cast<float>(i * 61357u));  // NaN, infinity, denormals among them
  }
  for (const float x : {NAN, -std::numeric_limits<float>::infinity(), -0.f, 3.402823466e38f}) {
    from.push_back(x);
  }
  for (const int threads_now : {1, 2}) {
    const Threads threads(threads_now);
    std::vector<Bf16> to(from.size());
    convert(from.data(), to.data(), from.size());
    std::vector<float> back(from.size());
    convert(to.data(), back.data(), to.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
      ASSERT_EQ(to[i].bits, to_bf16(from[i]).bits) << i;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]),
                std::bit_cast<std::uint32_t>(to_float(to[i])));
    }
  }
}

TEST(Convert, NothingIsNothing) {
  Bf16 untouched{7};
  const float x = 1;
  convert(&x, &untouched, 0);
  EXPECT_EQ(untouched.bits, 7);
}

template <class T>
class BlockedConversion : public testing::Test {};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(BlockedConversion, Storage);

TYPED_TEST(BlockedConversion, PadsWithZeroAndReturns) {
  for (const Maps& m : blocked::odd_maps) {
    for (const int channels : {1, m.c - 3, m.c}) {
      std::vector<float> plain(static_cast<std::size_t>(m.n * channels * m.hw));
      for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<float>(i % 251) - 99;
      Tensor<TypeParam> t(m);
      for (TypeParam& v : t.data) from_float(NAN, v);
      to_blocked(plain.data(), channels, m, t.ptr());
      for (int n = 0; n < m.n; ++n) {
        for (int c = 0; c < m.c; ++c) {
          for (int p = 0; p < m.hw; ++p) {
            const auto i = static_cast<std::size_t>((n * channels + c) * m.hw + p);
            ASSERT_EQ(t(n, c, p), c < channels ? double{plain[i]} : 0.0);
          }
        }
      }
      std::vector<float> back(plain.size(), NAN);
      from_blocked(t.ptr(), channels, m, back.data());
      EXPECT_EQ(back, plain);
    }
  }
}

TYPED_TEST(BlockedConversion, ZeroesRows) {
  std::vector<TypeParam> rows(35);
  for (TypeParam& v : rows) from_float(3, v);
  zero_rows(rows.data(), 7, 2, 4);
  zero_rows(rows.data(), 7, 5, 5);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(to_float(rows[i]), i >= 14 && i < 28 ? 0.f : 3.f);
  }
}

TEST(BlockedErrors, NameTheChannels) {
  std::vector<float> a(64), b(64);
  EXPECT_THROW(to_blocked(a.data(), 9, {1, 8, 4, 8}, b.data()), DeviceError);
  EXPECT_THROW(from_blocked(a.data(), 0, {1, 8, 4, 8}, b.data()), DeviceError);
}

TEST(Parallel, SharesCoverEverythingOnce) {
  for (int size = 1; size < 9; ++size) {
    for (const int count : {0, 1, 5, 64, 1000003}) {
      int next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Range r = Team{rank, size}.share(count);
        EXPECT_EQ(r.begin, next);
        EXPECT_LE(r.end - r.begin, count / size + 1);
        next = r.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

TEST(Parallel, BarrierOrdersTheTeam) {
  const Threads threads(3);
  std::vector<int> written(64);
  std::atomic<int> wrong{0}, members{0};
  parallel(true, [&](Team team) {
    ++members;
    written[static_cast<std::size_t>(team.rank)] = team.rank + 1;
    team.barrier();
    for (int r = 0; r < team.size; ++r) wrong += written[static_cast<std::size_t>(r)] != r + 1;
  });
  EXPECT_EQ(members, 3);
  EXPECT_EQ(wrong, 0);
  parallel(false, [&](Team team) { wrong += team.size != 1; });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace affuse::cpu
