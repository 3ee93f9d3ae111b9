// Adam on the emulated GPU against torch's definition in double, the check for overflow, SWA's
// mean.
#include "kernels/cuda/optimizer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using math::AdamSettings;

constexpr std::size_t kCounts[] = {1, 3, 4, 1027, 40000};

template <class Vector>
bool same_bytes(const Vector& a, const Vector& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
}

/// Exactly the bytes the kernel may touch.
template <class T>
struct Buffers {
  explicit Buffers(std::size_t count) : w(count), g(count), m(count), v(count), copy(count) {
    std::mt19937 random(static_cast<unsigned>(count));
    std::normal_distribution<float> normal;
    for (float& x : w) x = normal(random);
    for (T& x : copy) from_float(-3.0f, x);
  }
  void step(const AdamSettings& settings, const StepState& state, bool with_copy = true) {
    const DeviceValue<StepState> device_state(state);
    gpu_kernels::adam(
        gpu_kernels::Adam<T>{.weights = w.data(),
                             .gradient = g.data(),
                             .m = m.data(),
                             .v = v.data(),
                             .copy = with_copy && sizeof(T) == 2 ? copy.data() : nullptr,
                             .count = w.size(),
                             .settings = settings,
                             .factors = factors.data(),
                             .state = device_state.get()},
        nullptr);
  }
  bool same(const Buffers& o) const {
    return same_bytes(w, o.w) && same_bytes(g, o.g) && same_bytes(m, o.m) && same_bytes(v, o.v) &&
           same_bytes(copy, o.copy) && same_bytes(factors, o.factors);
  }
  DeviceVector<float> w, g, m, v;
  DeviceVector<T> copy;
  DeviceVector<math::AdamFactors<float>> factors = DeviceVector<math::AdamFactors<float>>(1);
};

/// The algorithm box of torch.optim.Adam and AdamW.
struct Reference {
  double w, m = 0, v = 0;
  void step(const AdamSettings& s, int t, double g) {
    if (s.decoupled)
      w -= s.lr * s.weight_decay * w;
    else
      g += s.weight_decay * w;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(s.beta1, t)), v_hat = v / (1 - std::pow(s.beta2, t));
    w -= s.lr * m_hat / (std::sqrt(v_hat) + s.eps);
  }
};

/// From 1e-12 to 1e3, with exact zeros: eps and the corrections matter.
float gradient(std::size_t i, std::mt19937& random) {
  std::normal_distribution<float> normal;
  return i % 7 == 0 ? 0 : normal(random) * std::pow(10.f, static_cast<float>(i % 16) - 12.f);
}

template <class T>
void five_steps(std::size_t count, const AdamSettings& settings, float loss_scale) {
  Buffers<T> b(count);
  std::vector<Reference> want;
  for (const float x : b.w) want.push_back({x});
  std::mt19937 random(5);
  StepState state;
  state.loss_scale = loss_scale;
  for (int t = 1; t <= 5; ++t) {
    state.step = t;
    state.lr = 0.02f / static_cast<float>(t);  // the lr of the state counts, not that of settings
    AdamSettings now = settings;
    now.lr = double{state.lr};
    for (std::size_t i = 0; i < count; ++i) {
      const double decay = settings.decoupled ? 0 : settings.weight_decay * want[i].w;
      float g = gradient(i, random);
      // Where both cancel, Adam makes a whole step of the rounding error that remains.
      if (std::abs(double{g} + decay) < 0.1 * std::abs(decay)) g = -g;
      b.g[i] = g * loss_scale;
      want[i].step(now, t, g);
    }
    b.step(settings, state);
  }
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_NEAR(b.w[i], want[i].w, 2e-6) << "element " << i;
    // Gradients of both signs cancel in m: its error is that of their size, the root of v / rest.
    const double size = std::sqrt(want[i].v / (1 - std::pow(settings.beta2, 5)));
    ASSERT_NEAR(b.m[i], want[i].m, 5e-7 * size + 1e-30) << "element " << i;
    ASSERT_NEAR(b.v[i], want[i].v, 1e-6 * want[i].v + 1e-30) << "element " << i;
    T rounded;
    from_float(sizeof(T) == 2 ? b.w[i] : -3.0f, rounded);
    ASSERT_EQ(std::memcmp(&b.copy[i], &rounded, sizeof(T)), 0) << "copy of element " << i;
  }
}

template <class T>
class CudaAdam : public ::testing::Test {};
using Types = ::testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(CudaAdam, Types);

TYPED_TEST(CudaAdam, FollowsTheDoubleReference) {
  for (const std::size_t count : kCounts)
    for (const bool decoupled : {false, true})
      for (const double decay : {0.0, 1e-2})
        for (const float loss_scale : {1.f, 1024.f}) {
          SCOPED_TRACE(::testing::Message() << count << " elements, decoupled " << decoupled
                                            << ", decay " << decay << ", scale " << loss_scale);
          five_steps<TypeParam>(count, {.lr = 77, .weight_decay = decay, .decoupled = decoupled},
                                loss_scale);
        }
}

TYPED_TEST(CudaAdam, TheSameBitsInEveryOrder) {
  const StepState state{.step = 3, .lr = 0.1f, .loss_scale = 2};
  Buffers<TypeParam> start(1027);
  std::mt19937 random(7);
  for (std::size_t i = 0; i < start.g.size(); ++i) start.g[i] = gradient(i, random);
  auto want = start;
  want.step({.weight_decay = 1e-3}, state);
  for_each_order([&] {
    auto got = start;
    got.step({.weight_decay = 1e-3}, state);
    EXPECT_TRUE(got.same(want));
  });
}

TYPED_TEST(CudaAdam, FoundInfLeavesEveryBufferAlone) {
  StepState state{.step = 1, .lr = 0.1f, .loss_scale = 1024};
  state.found_inf = 1;
  for (const std::size_t count : kCounts) {
    Buffers<TypeParam> b(count);
    std::memset(b.factors.data(), 0x5A, sizeof(math::AdamFactors<float>));
    b.g.assign(count, std::numeric_limits<float>::quiet_NaN());
    const auto before = b;
    b.step({.weight_decay = 0.1}, state);
    EXPECT_TRUE(b.same(before)) << count << " elements";
  }
}

TYPED_TEST(CudaAdam, TheCopyChangesNothingElseAndRoundsNastyValues) {
  const StepState state{.step = 1, .lr = 0.1f};
  Buffers<TypeParam> with(1027);
  for (std::size_t i = 0; i < with.w.size(); ++i)  // 1e-45 to 1e38: subnormal and overflowing
    with.w[i] *= std::pow(10.f, static_cast<float>(i % 83) - 45.f);
  auto without = with;
  const auto before = with;
  with.step({}, state);  // gradients of 0
  without.step({}, state, false);
  EXPECT_TRUE(same_bytes(with.w, before.w));
  EXPECT_TRUE(same_bytes(with.w, without.w));
  EXPECT_TRUE(same_bytes(without.copy, before.copy));
  if constexpr (sizeof(TypeParam) == 2)
    for (std::size_t i = 0; i < with.w.size(); ++i) {
      TypeParam want;
      from_float(with.w[i], want);
      ASSERT_EQ(with.copy[i].bits, want.bits) << with.w[i];
    }
}

int found(const DeviceVector<float>& x, const StepState& before = {}) {
  DeviceValue<StepState> state(before);
  gpu_kernels::check_finite(x.data(), x.size(), state.get(), nullptr);
  return state->found_inf;
}

TEST(CudaCheckFinite, FindsOneBadElementAnywhere) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float bad[] = {NAN, -NAN, infinity, -infinity, std::numeric_limits<float>::signaling_NaN()};
  for (const std::size_t count : kCounts) {
    DeviceVector<float> x(count);
    const float limit = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < count; ++i) x[i] = i % 2 == 0 ? limit : -1e-45f;
    EXPECT_EQ(found(x), 0) << count << " finite elements";
    for (const std::size_t at : {std::size_t{0}, count / 2, count & ~std::size_t{3}, count - 1})
      for (const float b : bad) {
        if (at >= count) continue;  // no tail
        const float kept = std::exchange(x[at], b);
        EXPECT_EQ(found(x), 1) << b << " at " << at << " of " << count;
        x[at] = kept;
      }
  }
}

TEST(CudaCheckFinite, EveryPlaceOfAGroupAndOfTheTail) {
  DeviceVector<float> x(4099);
  for (const std::size_t from : {std::size_t{0}, std::size_t{1020}, std::size_t{4092}})
    for (std::size_t i = from; i < from + 7; ++i) {
      x[i] = NAN;
      EXPECT_EQ(found(x), 1) << i;
      x[i] = 0;
    }
  EXPECT_EQ(found(x), 0);
}

TEST(CudaCheckFinite, ManyFindInAnyOrderAndNothingIsTakenBack) {
  for_each_order([] {
    EXPECT_EQ(found(DeviceVector<float>(3001, NAN)), 1);
    EXPECT_EQ(found(DeviceVector<float>(3001, 1)), 0);
    StepState before;
    before.found_inf = 1;
    EXPECT_EQ(found({1, 2, 3, 4, 5}, before), 1);
  });
  EXPECT_EQ(found({}), 0);
}

TEST(CudaAverage, IsTheMeanOfWhatItSaw) {
  for (const std::size_t count : kCounts) {
    const Buffers<float> now(count), past(count + 1);
    DeviceValue<StepState> state;
    DeviceVector<float> mean(count, NAN);
    gpu_kernels::average(mean.data(), now.w.data(), count, state.get(), nullptr);
    EXPECT_TRUE(same_bytes(mean, now.w));
    state->averaged = 7;
    for_each_order([&] {
      mean.assign(past.w.begin(), past.w.begin() + static_cast<std::ptrdiff_t>(count));
      gpu_kernels::average(mean.data(), now.w.data(), count, state.get(), nullptr);
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_NEAR(mean[i], (7 * double{past.w[i]} + double{now.w[i]}) / 8, 3e-7) << i;
    });
  }
}

TEST(CudaAverage, MoreGroupsThanThreads) {
  DeviceVector<float> weights((std::size_t{4096} << 10) + 1031), mean(weights.size(), NAN);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 8191);
  const DeviceValue<StepState> state;
  gpu_kernels::average(mean.data(), weights.data(), mean.size(), state.get(), nullptr);
  EXPECT_TRUE(same_bytes(mean, weights));
}

}  // namespace
}  // namespace affuse
