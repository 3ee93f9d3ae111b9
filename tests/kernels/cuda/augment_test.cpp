// Augmentation on the emulated GPU: against the CPU's kernel and a pixel-by-pixel double pipeline.
#include "kernels/cuda/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/augment.h"
#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse {
namespace {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;
using math::AugmentParams;
using math::Jitter;

constexpr cpu::Normalisation kImageNet{{.485f, .456f, .406f}, {.229f, .224f, .225f}};

std::size_t size(int a, int b, int c = 1) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c);
}

/// A batch and what the kernel gets of it: exactly the images, rows and parameters of real samples.
struct Batch {
  int n, valid, h, w;
  DeviceVector<std::uint8_t> images;
  DeviceVector<AugmentParams> params;
  DeviceVector<std::int64_t> rows;  ///< empty: sample i is image i

  Batch(int samples, int height, int width, int stored)
      : n(samples), valid(samples), h(height), w(width), images(size(stored, h * w, 3)) {
    std::mt19937 g(static_cast<unsigned>(n + 10 * h + w));
    for (auto& x : images) x = static_cast<std::uint8_t>(g());
    params.resize(static_cast<std::size_t>(n));
  }
  const std::uint8_t* image(std::size_t sample) const {
    const auto row = rows.empty() ? sample : static_cast<std::size_t>(rows[sample]);
    return images.data() + row * size(h, w, 3);
  }
};

template <class T>
struct Result {
  DeviceVector<T> y;
  DeviceVector<float> grey_mean;
};

template <class T>
Result<T> run(const Batch& b) {
  T nan;
  from_float(NAN, nan);
  constexpr int channels = gpu_kernels::kImageChannels<T>;
  Result<T> out{DeviceVector<T>(size(b.n, b.h * b.w, channels), nan),
                DeviceVector<float>(static_cast<std::size_t>(b.n), NAN)};
  DeviceValue<StepState> state;
  state->valid = b.valid;
  gpu_kernels::AugmentBatch<T> a{.images = b.images.data(),
                                 .rows = b.rows.empty() ? nullptr : b.rows.data(),
                                 .params = b.params.data(),
                                 .n = b.n,
                                 .h = b.h,
                                 .w = b.w,
                                 .mean = {},
                                 .std = {},
                                 .grey_mean = out.grey_mean.data(),
                                 .y = out.y.data(),
                                 .state = state.get()};
  std::copy_n(kImageNet.mean, 3, a.mean);
  std::copy_n(kImageNet.std, 3, a.std);
  gpu_kernels::augment(a, nullptr);
  return out;
}

/// [valid, h, w, 3] by the CPU's kernel.
std::vector<float> on_cpu(const Batch& b) {
  std::vector<std::uint8_t> gathered;
  for (int i = 0; i < b.valid; ++i) {
    const std::uint8_t* image = b.image(static_cast<std::size_t>(i));
    gathered.insert(gathered.end(), image, image + size(b.h, b.w, 3));
  }
  std::vector<float> y(gathered.size());
  std::vector<std::byte> scratch(cpu::augment_scratch_bytes(b.h, b.w, 1));
  cpu::augment_batch(gathered.data(), b.params.data(), {b.valid, b.valid, b.h, b.w}, kImageNet,
                     cpu::DstLayout::nhwc, y.data(), scratch);
  return y;
}

/// kernels/math in double, a pixel at a time.
struct Reference {
  const std::uint8_t* image;
  const AugmentParams& p;
  int h, w;

  std::uint32_t fetch(int x, int y) const {
    if (x < 0 || y < 0 || x >= w || y >= h) return 0;
    return math::pack_pixel(image + 3 * (y * w + (p.flip != 0 ? w - 1 - x : x)));
  }
  math::Rgb<double> source(int x, int y) const {
    const auto t = math::affine_tap<double>(p.inverse, x, y, w, h);
    return math::bilinear(t.right, t.below, fetch(t.x, t.y), fetch(t.x + 1, t.y),
                          fetch(t.x, t.y + 1), fetch(t.x + 1, t.y + 1));
  }
  double grey_mean() const {
    double sum = 0;
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        sum += math::grey(math::jitter_steps(p, 0, math::contrast_step(p), source(x, y), 0.0));
    return sum / (w * h);
  }
  std::vector<double> pixels() const {
    const double mean = grey_mean();
    std::vector<double> out;
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const auto c = math::jitter_steps(p, 0, math::kJitters, source(x, y), mean);
        const double value[3] = {c.r, c.g, c.b};
        for (int k = 0; k < 3; ++k)
          out.push_back(math::erased(p, x, y)
                            ? 0
                            : (value[k] - double{kImageNet.mean[k]}) / double{kImageNet.std[k]});
      }
    return out;
  }
};

/// Both references on every real sample, zeros elsewhere, the other types the fp32 result rounded.
void check(const Batch& b) {
  const auto got = run<float>(b);
  const auto cpu = on_cpu(b);
  const std::size_t pixels = size(b.h, b.w);
  for (std::size_t i = 0; i < static_cast<std::size_t>(b.valid); ++i) {
    const Reference reference{b.image(i), b.params[i], b.h, b.w};
    const auto want = reference.pixels();
    const bool contrast = math::contrast_step(b.params[i]) < math::kJitters;
    if (contrast) {
      ASSERT_NEAR(got.grey_mean[i], reference.grey_mean(), 1e-6) << "sample " << i;
    }
    for (std::size_t k = 0; k < 3 * pixels; ++k) {
      const float y = got.y[4 * (i * pixels + k / 3) + k % 3];
      ASSERT_NEAR(y, want[k], 1e-4) << "sample " << i << ", value " << k;
      // One rounding apart; the grey mean is summed in another order, and hue may magnify that.
      const double room = device_fuses_multiply_add() ? 1e-4 : contrast ? 1e-5 : 5e-7;
      ASSERT_NEAR(y, cpu[i * 3 * pixels + k], room) << "sample " << i << ", value " << k;
    }
  }
  const auto half = run<Half>(b).y;
  const auto bf16 = run<Bf16>(b).y;
  for (std::size_t pixel = 0; pixel < size(b.n, b.h * b.w); ++pixel)
    for (std::size_t c = 0; c < 8; ++c) {
      const bool real = pixel < static_cast<std::size_t>(b.valid) * pixels;
      const float y = c < 3 && real ? got.y[4 * pixel + c] : 0;
      if (c < 4) {
        ASSERT_EQ(got.y[4 * pixel + c], y) << "pixel " << pixel;
      }
      ASSERT_EQ(half[8 * pixel + c].bits, to_half(y).bits) << "pixel " << pixel;
      ASSERT_EQ(bf16[8 * pixel + c].bits, to_bf16(y).bits) << "pixel " << pixel;
    }
}

AugmentParams random_params(int h, int w, std::mt19937& g) {
  const auto u = [&](double a, double b) { return std::uniform_real_distribution(a, b)(g); };
  AugmentParams p;
  p.flip = g() % 2;
  if (g() % 4 != 0)
    p.inverse = math::inverse_affine(u(-40, 40), u(-.2, .2) * w, u(-.2, .2) * h, u(.7, 1.4),
                                     u(-20, 20), u(-20, 20));
  if (g() % 4 != 0) p.brightness = static_cast<float>(u(0, 2));
  if (g() % 4 != 0) p.contrast = static_cast<float>(u(0, 2));
  if (g() % 4 != 0) p.saturation = static_cast<float>(u(0, 2));
  if (g() % 4 != 0) p.hue = static_cast<float>(u(-.5, .5));
  std::shuffle(p.order, p.order + math::kJitters, g);
  p.erase_height = static_cast<std::int32_t>(g() % static_cast<unsigned>(h + 1));
  p.erase_width = static_cast<std::int32_t>(g() % static_cast<unsigned>(w + 1));
  p.erase_top = static_cast<std::int32_t>(g() % static_cast<unsigned>(h));
  p.erase_left = static_cast<std::int32_t>(g() % static_cast<unsigned>(w));
  return p;
}

Batch random_batch(int n, int h, int w) {
  Batch b(n, h, w, n);
  std::mt19937 g(static_cast<unsigned>(h * w));
  for (auto& p : b.params) p = random_params(h, w, g);
  return b;
}

TEST(CudaAugment, RandomParametersOnOddSizes) {
  for (const auto& [h, w] : {std::pair{1, 1}, {33, 17}, {17, 33}, {5, 64}, {1, 9}, {66, 70}}) {
    SCOPED_TRACE(::testing::Message() << h << " x " << w);
    check(random_batch(5, h, w));
  }
}

TEST(CudaAugment, EveryOrderOfTheJitter) {
  Batch b(24, 17, 33, 24);
  AugmentParams p;
  p.inverse = math::inverse_affine(20, 3, -2, 1.1);
  p.brightness = 1.3f, p.contrast = 0.6f, p.saturation = 1.7f, p.hue = 0.2f;
  for (AugmentParams& of : b.params) {
    of = p;
    std::next_permutation(p.order, p.order + math::kJitters);
  }
  check(b);
}

TEST(CudaAugment, EachStepAlone) {
  Batch b(9, 33, 17, 9);
  b.params[1].flip = 1;
  b.params[2].inverse = math::inverse_affine(90, 0, 0, 1);
  b.params[3].inverse = math::inverse_affine(0, 2, -3, 1);
  b.params[4].brightness = 0;
  b.params[5].contrast = 0;
  b.params[6].saturation = 0;
  b.params[7].hue = -0.5f;
  b.params[8].erase_height = 33, b.params[8].erase_width = 17;
  check(b);
}

TEST(CudaAugment, ErasesAtEveryBorderAndBeyond) {
  const int places[][4] = {{0, 0, 3, 4},   {0, 13, 5, 4},  {28, 0, 5, 4},  {28, 13, 5, 4},
                           {30, 2, 99, 3}, {-2, -2, 4, 4}, {40, 40, 3, 3}, {5, 5, 0, 9}};
  Batch b(8, 33, 17, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    b.params[i].erase_top = places[i][0], b.params[i].erase_left = places[i][1];
    b.params[i].erase_height = places[i][2], b.params[i].erase_width = places[i][3];
  }
  check(b);
}

TEST(CudaAugment, OffTheImageIsBlack) {
  Batch b(3, 5, 64, 3);
  b.params[0].inverse = math::inverse_affine(30, 500, 0, 1);
  b.params[1].inverse = math::inverse_affine(-170, 0, -40, 0.5);
  b.params[2].inverse = math::inverse_affine(45, 0, 0, 1);  // its corners
  check(b);
  const auto got = run<float>(b).y;
  for (std::size_t i = 0; i < 2 * size(5, 64); ++i)
    for (std::size_t c = 0; c < 3; ++c)
      ASSERT_NEAR(got[4 * i + c], -kImageNet.mean[c] / kImageNet.std[c], 1e-6);
}

TEST(CudaAugment, HostileMatricesReadNothingOutside) {
  Batch b(5, 5, 64, 5);
  const float infinity = std::numeric_limits<float>::infinity();
  const float bad[] = {NAN, infinity, -infinity, 1e30f, -1e30f};
  for (std::size_t i = 0; i < 5; ++i) std::fill_n(b.params[i].inverse.m, 6, bad[i]);
  for (const float y : run<float>(b).y) ASSERT_TRUE(std::isfinite(y));
}

TEST(CudaAugment, GathersRows) {
  Batch b = random_batch(5, 33, 17);
  b.images = Batch(5, 33, 17, 9).images;
  b.rows = {8, 0, 3, 3, 7};
  check(b);
}

TEST(CudaAugment, PaddingIsZeroAndNothingBehindValidIsRead) {
  for (const int valid : {0, 1, 3}) {
    SCOPED_TRACE(valid);
    Batch b = random_batch(5, 5, 64);
    b.valid = valid;
    const auto real = static_cast<std::size_t>(valid);
    b.params = {b.params.begin(), b.params.begin() + valid};  // no capacity behind
    b.images = DeviceVector<std::uint8_t>(b.images.data(), b.images.data() + real * size(5, 64, 3));
    check(b);
    for (std::int64_t i = 0; i < valid; ++i) b.rows.push_back(valid - 1 - i);
    check(b);
  }
}

template <class T>
void same_bits_in_every_order() {
  Batch b = random_batch(5, 33, 47);
  b.valid = 4;
  const auto want = run<T>(b);
  for_each_order([&] {
    const auto got = run<T>(b);
    EXPECT_EQ(std::memcmp(got.y.data(), want.y.data(), want.y.size() * sizeof(T)), 0);
    EXPECT_EQ(std::memcmp(got.grey_mean.data(), want.grey_mean.data(), 5 * sizeof(float)), 0);
  });
}

TEST(CudaAugment, TheSameBitsInEveryOrder) {
  same_bits_in_every_order<float>();
  same_bits_in_every_order<Half>();
  same_bits_in_every_order<Bf16>();
}

}  // namespace
}  // namespace affuse
