// The emulation itself: threads, shared memory, barriers, warps, atomics, orders, errors. Which
// bugs it must catch is in planted_test.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cuda/emulation/schedule.h"
#include "kernels/cuda/pack.h"
#include "tests/kernels/cuda/emulated.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

using emulation::Order;

// ---- threads and blocks ----

__global__ void index_kernel(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

TEST(Emulation, RunsEveryThreadOfEveryBlockOnce) {
  for_each_order([] {
    std::vector<int> out(2 * 3 * 4 * 5 * 2 * 3);
    gpu::launch<index_kernel>(dim3(2, 3, 4), dim3(5, 2, 3), 0, nullptr, out.data());
    EXPECT_EQ(std::count(out.begin(), out.end(), 1), static_cast<long>(out.size()));
  });
}

__global__ void arguments_kernel(const int* in, int* out, std::size_t i, const float2 x) {
  out[0] = in[i] + static_cast<int>(x.x + x.y);
}

TEST(Emulation, ConvertsArguments) {
  const std::vector<int> in = {1, 2};
  std::vector<int> out(1);
  gpu::launch<arguments_kernel>(1, 1, 0, nullptr, in.data(), out.data(), 1, make_float2(3, 4));
  EXPECT_EQ(out[0], 9);
}

TEST(Emulation, AnEmptyGridIsNoLaunch) {
  const std::uint64_t before = emulation::statistics().launches;
  gpu::launch<index_kernel>(dim3(0), 32, 0, nullptr, nullptr);
  gpu::launch<index_kernel>(dim3(1, 0, 1), 32, 0, nullptr, nullptr);
  EXPECT_EQ(emulation::statistics().launches, before);
}

__global__ void arrival_kernel(unsigned* next, unsigned* out) {
  out[atomicAdd(next, 1u)] = blockIdx.x * blockDim.x + threadIdx.x;
}

std::vector<unsigned> arrivals(Order order, std::uint64_t seed) {
  const KeepOptions keep;
  emulation::options().order = order;
  emulation::options().seed = seed;
  std::vector<unsigned> out(4 * 64), next(1);
  gpu::launch<arrival_kernel>(4, 64, 0, nullptr, next.data(), out.data());
  return out;
}

TEST(Emulation, OrdersAreForwardReverseAndRandomBySeed) {
  std::vector<unsigned> all(4 * 64);
  for (unsigned i = 0; i < all.size(); ++i) all[i] = i;
  EXPECT_EQ(arrivals(Order::forward, 1), all);
  const std::vector<unsigned> first = arrivals(Order::random, 1);
  EXPECT_NE(first, all);
  EXPECT_NE(first, arrivals(Order::random, 2));
  EXPECT_EQ(first, arrivals(Order::random, 1));
  EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), all.begin()));
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(arrivals(Order::reverse, 1), all);
}

TEST(Emulation, RandomOrdersPermuteBlocksAndHoldWarpsBack) {
  emulation::Options options;
  options.order = Order::random;
  std::set<std::vector<std::uint64_t>> block_orders;
  int some_held = 0, none_held = 0;
  for (options.seed = 1; options.seed <= 20; ++options.seed) {
    for (const std::uint64_t blocks : {1u, 2u, 12u}) {
      emulation::Schedule schedule(options, 64, blocks);
      std::vector<std::uint64_t> order(blocks);
      for (std::uint64_t i = 0; i < blocks; ++i) order[i] = schedule.block(i);
      EXPECT_EQ(std::set(order.begin(), order.end()).size(), blocks);
      EXPECT_LT(*std::max_element(order.begin(), order.end()), blocks);
      block_orders.insert(order);
      schedule.begin_block();
      ++(schedule.holds(0) != schedule.holds(1) ? some_held : none_held);
    }
  }
  EXPECT_GT(block_orders.size(), 10u);
  EXPECT_GT(some_held, 10);
  EXPECT_GT(none_held, 10);
}

// ---- shared memory ----

__global__ void fresh_kernel(int* out) {
  GPU_SHARED(float, matrix, [2][8]);
  GPU_SHARED(double, scalar);
  GPU_SHARED(Half, half, [3]);
  GPU_DYNAMIC_SHARED(float4, dynamic);
  const bool fresh = std::isnan(matrix[1][7]) && std::isnan(scalar) &&
                     std::isnan(to_float(half[2])) && std::isnan(dynamic[1].w);
  out[blockIdx.x * blockDim.x + threadIdx.x] = fresh;
  __syncthreads();
  matrix[1][7] = dynamic[1].w = 0;
  scalar = 0;
  half[2] = to_half(0);
}

TEST(Emulation, SharedMemoryIsFreshAndNanInEveryBlock) {
  std::vector<int> out(4);
  gpu::launch<fresh_kernel>(4, 1, 2 * sizeof(float4), nullptr, out.data());
  EXPECT_EQ(out, std::vector<int>(4, 1));
}

__global__ void own_kernel(int* out, int* next) {
  GPU_SHARED(int, one);
  GPU_SHARED(int, two);
  if (threadIdx.x == 0) one = atomicAdd(next, 1);
  if (threadIdx.x == 32) two = 100;
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = one + two;
}

TEST(Emulation, ABlockSharesItsVariables) {
  for_each_order([] {
    std::vector<int> out(3 * 64), next(1);
    gpu::launch<own_kernel>(3, 64, 0, nullptr, out.data(), next.data());
    for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], out[i / 64 * 64]);
    EXPECT_EQ(out[0] + out[64] + out[128], 303);
  });
}

// ---- barriers, warps, atomics ----

__global__ void barrier_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x + 8 * threadIdx.y);
  const int count = __syncthreads_count(t % 2), any = __syncthreads_or(t == 7);
  const int all = __syncthreads_and(t < 47), every = __syncthreads_and(t < 48);
  out[t] = 1000 * count + 100 * any + 10 * all + every;
}

TEST(Emulation, BarriersCountAndVote) {
  for_each_order([] {
    std::vector<int> out(48);
    const emulation::Statistics before = emulation::statistics();
    gpu::launch<barrier_kernel>(1, dim3(8, 6), 0, nullptr, out.data());
    EXPECT_EQ(out, std::vector<int>(48, 24101));
    EXPECT_EQ(emulation::statistics().barriers, before.barriers + 4);
    EXPECT_EQ(emulation::statistics().blocks, before.blocks + 1);
  });
}

struct Shuffles {
  int index, up, down, bits, halves;
  double wide;
  float4 widest;
};

__global__ void shuffle_kernel(Shuffles* out) {
  const int l = static_cast<int>(threadIdx.x);
  const float x = static_cast<float>(l);
  Shuffles& o = out[l];
  o.index = __shfl_sync(~0u, l, 3, 8);
  o.up = __shfl_up_sync(~0u, l, 2, 8);
  o.down = __shfl_down_sync(~0u, l, 2, 8);
  o.bits = __shfl_xor_sync(~0u, l, 9);
  o.halves = l < 16 ? __shfl_xor_sync(0x0000FFFFu, l, 1) : __shfl_xor_sync(0xFFFF0000u, l, 2);
  o.wide = __shfl_sync(~0u, l + 0.5, 31 - l);
  o.widest = __shfl_sync(~0u, make_float4(x, 0, 0, -x), l ^ 1);
}

TEST(Emulation, Shuffles) {
  for_each_order([] {
    std::vector<Shuffles> out(32);
    gpu::launch<shuffle_kernel>(1, 32, 0, nullptr, out.data());
    for (int l = 0; l < 32; ++l) {
      const Shuffles& o = out[static_cast<std::size_t>(l)];
      const int segment = l & ~7, i = l & 7;
      EXPECT_EQ(o.index, segment + 3);
      EXPECT_EQ(o.up, i < 2 ? l : l - 2);
      EXPECT_EQ(o.down, i + 2 > 7 ? l : l + 2);
      EXPECT_EQ(o.bits, l ^ 9);
      EXPECT_EQ(o.halves, l < 16 ? l ^ 1 : l ^ 2);
      EXPECT_EQ(o.wide, 31 - l + 0.5);
      EXPECT_EQ(o.widest.x, static_cast<float>(l ^ 1));
      EXPECT_EQ(o.widest.w, -static_cast<float>(l ^ 1));
    }
  });
}

__global__ void vote_kernel(unsigned* out) {
  const unsigned t = threadIdx.x;
  if (t >= 20) return;  // lanes that have returned do not count
  const int all = __all_sync(~0u, t < 20), some = __all_sync(~0u, t < 19);
  const int any = __any_sync(~0u, t == 5), none = __any_sync(~0u, t == 25);
  const unsigned votes = static_cast<unsigned>(8 * all + 4 * some + 2 * any + none);
  const unsigned ballot = __ballot_sync(~0u, t % 3 == 0);
  const bool active = __activemask() >> t & 1u;
  out[t] = votes == 10 && active ? ballot : 0;
}

TEST(Emulation, VotesAreOfTheLanesThatAreThere) {
  for_each_order([] {
    std::vector<unsigned> out(20);
    gpu::launch<vote_kernel>(1, 32, 0, nullptr, out.data());
    EXPECT_EQ(out, std::vector<unsigned>(20, 0x49249u));
  });
}

struct Atomics {
  int add = 0, sub = 0, max = -1, min = 100;
  unsigned all = ~0u, any = 0, wrapped = 0, swapped = 0;
  float sum = 0;
  unsigned long long large = 1ull << 40;
};

__global__ void atomics_kernel(Atomics* a) {
  const int t = static_cast<int>(threadIdx.x);
  atomicAdd(&a->add, 2);
  atomicSub(&a->sub, 1);
  atomicMax(&a->max, t);
  atomicMin(&a->min, t + 3);
  atomicAnd(&a->all, ~(1u << t % 4));
  atomicOr(&a->any, 1u << t % 8);
  atomicInc(&a->wrapped, 9u);
  atomicCAS(&a->swapped, 0u, 5u);
  atomicAdd(&a->sum, 0.5f);
  atomicAdd(&a->large, 1);
}

TEST(Emulation, Atomics) {
  for_each_order([] {
    std::vector<Atomics> a(1);
    gpu::launch<atomics_kernel>(2, 32, 0, nullptr, a.data());
    EXPECT_EQ(a[0].add, 128);
    EXPECT_EQ(a[0].sub, -64);
    EXPECT_EQ(a[0].max, 31);
    EXPECT_EQ(a[0].min, 3);
    EXPECT_EQ(a[0].all, ~15u);
    EXPECT_EQ(a[0].any, 255u);
    EXPECT_EQ(a[0].wrapped, 4u);
    EXPECT_EQ(a[0].swapped, 5u);
    EXPECT_EQ(a[0].sum, 32.0f);
    EXPECT_EQ(a[0].large, (1ull << 40) + 64);
  });
}

TEST(Emulation, IntrinsicsAtTheirEdges) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(__saturatef(nan), 0.0f);
  EXPECT_EQ(__saturatef(1.5f), 1.0f);
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(__float2int_rn(1e20f), std::numeric_limits<int>::max());
  EXPECT_EQ(__float2int_rn(-1e20f), std::numeric_limits<int>::min());
  EXPECT_EQ(__float2int_rn(nan), 0);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__umulhi(0x80000000u, 6u), 3u);
  float sine = 0, cosine = 0;
  sincospif(0.5f, &sine, &cosine);
  EXPECT_EQ(sine, 1.0f);
  EXPECT_NEAR(cosine, 0.0f, 1e-7f);
}

TEST(Emulation, LaunchesOfSeveralHostThreadsTakeTurns) {
  std::array<std::vector<int>, 2> out;
  const auto work = [](std::vector<int>& own) {
    own.resize(48);
    for (int i = 0; i < 5; ++i) gpu::launch<barrier_kernel>(1, dim3(8, 6), 0, nullptr, own.data());
  };
  std::thread other([&] { work(out[0]); });
  work(out[1]);
  other.join();
  EXPECT_EQ(out[0], std::vector<int>(48, 24101));
  EXPECT_EQ(out[1], out[0]);
}

}  // namespace
}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
