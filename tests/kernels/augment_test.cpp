// Augmentation: the batch kernel against a pixel-by-pixel double pipeline, and effects known
// exactly.
#include "kernels/cpu/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <omp.h>

#include "engine/error.h"
#include "gtest/gtest.h"

namespace affuse::cpu {
namespace {

using math::AugmentParams;
using math::Jitter;

constexpr Normalisation kPlain{{0, 0, 0}, {1, 1, 1}};
constexpr Normalisation kImageNet{{.485f, .456f, .406f}, {.229f, .224f, .225f}};

std::vector<std::uint8_t> random_images(int n, int h, int w) {
  std::mt19937 g(static_cast<unsigned>(n + 10 * h + w));
  std::vector<std::uint8_t> out(static_cast<std::size_t>(n * h * w * 3));
  for (auto& x : out) x = static_cast<std::uint8_t>(g());
  return out;
}

AugmentParams random_params(int h, int w, std::mt19937& g) {
  const auto u = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(g);
  };
  AugmentParams p;
  p.flip = g() % 2;
  if (g() % 4 != 0)
    p.inverse = math::inverse_affine(u(-40, 40), u(-.2, .2) * w, u(-.2, .2) * h, u(.7, 1.4),
                                     u(-20, 20), u(-20, 20));
  if (g() % 4 != 0) p.brightness = float(u(0, 2));
  if (g() % 4 != 0) p.contrast = float(u(0, 2));
  if (g() % 4 != 0) p.saturation = float(u(0, 2));
  if (g() % 4 != 0) p.hue = float(u(-.5, .5));
  std::shuffle(p.order, p.order + math::kJitters, g);
  p.erase_height = static_cast<std::int32_t>(g() % static_cast<unsigned>(h + 1));
  p.erase_width = static_cast<std::int32_t>(g() % static_cast<unsigned>(w + 1));
  p.erase_top = static_cast<std::int32_t>(g() % static_cast<unsigned>(h));
  p.erase_left = static_cast<std::int32_t>(g() % static_cast<unsigned>(w));
  return p;
}

/// The header's functions, a pixel at a time, as a device kernel calls them. Returns [H, W, 3].
std::vector<double> reference(const std::uint8_t* image, const AugmentParams& p, int h, int w,
                              const Normalisation& norm) {
  const auto fetch = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= w || y >= h) return 0u;
    return math::pack_pixel(image + 3 * (y * w + (p.flip ? w - 1 - x : x)));
  };
  const auto source = [&](int x, int y) {
    const auto t = math::affine_tap<double>(p.inverse, x, y, w, h);
    return math::bilinear(t.right, t.below, fetch(t.x, t.y), fetch(t.x + 1, t.y),
                          fetch(t.x, t.y + 1), fetch(t.x + 1, t.y + 1));
  };
  const int contrast = math::contrast_step(p);
  double mean = 0;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      mean += math::grey(math::jitter_steps(p, 0, contrast, source(x, y), 0.0)) / (w * h);
  std::vector<double> out;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      const auto c = math::jitter_steps(p, 0, math::kJitters, source(x, y), mean);
      const double value[3] = {c.r, c.g, c.b};
      for (int i = 0; i < 3; ++i)
        out.push_back(math::erased(p, x, y) ? 0 : (value[i] - double{norm.mean[i]}) / norm.std[i]);
    }
  return out;
}

template <class T = float>
std::vector<T> run(const std::vector<std::uint8_t>& src, const std::vector<AugmentParams>& params,
                   AugmentShape shape, const Normalisation& norm, DstLayout layout,
                   int threads = 2) {
  std::vector<T> dst(src.size());
  std::vector<std::byte> scratch(augment_scratch_bytes(shape.height, shape.width, threads));
  augment_batch(src.data(), params.data(), shape, norm, layout, dst.data(), scratch);
  return dst;
}

/// One image, unnormalised, [H, W, 3].
std::vector<float> run_one(const std::vector<std::uint8_t>& src, const AugmentParams& p, int h,
                           int w) {
  return run(src, {p}, {1, 1, h, w}, kPlain, DstLayout::nhwc);
}

TEST(Augment, EqualsThePixelByPixelReferenceInBothLayouts) {
  std::mt19937 g(1);
  for (const auto& [h, w] : {std::pair{1, 1}, {1, 9}, {7, 1}, {33, 47}, {64, 64}, {20, 131}}) {
    const int n = 12;
    const auto src = random_images(n, h, w);
    std::vector<AugmentParams> params;
    for (int i = 0; i < n; ++i) params.push_back(random_params(h, w, g));
    const auto nhwc = run(src, params, {n, n, h, w}, kImageNet, DstLayout::nhwc);
    const auto nchw = run(src, params, {n, n, h, w}, kImageNet, DstLayout::nchw);
    const auto half = run<Bf16>(src, params, {n, n, h, w}, kImageNet, DstLayout::nchw);
    for (int i = 0; i < n; ++i) {
      const int first = i * h * w * 3;
      const auto want =
          reference(src.data() + first, params[static_cast<std::size_t>(i)], h, w, kImageNet);
      for (int k = 0; k < h * w * 3; ++k) {
        const auto a = static_cast<std::size_t>(first + k);
        const auto b = static_cast<std::size_t>(first + k % 3 * h * w + k / 3);
        ASSERT_NEAR(nhwc[a], want[static_cast<std::size_t>(k)], 1e-4) << h << "x" << w << " " << k;
        ASSERT_EQ(nhwc[a], nchw[b]);
        ASSERT_EQ(half[b].bits, to_bf16(nchw[b]).bits);
      }
    }
  }
}

TEST(Augment, IdentityIsTheNormalisedImage) {
  const auto src = random_images(1, 5, 6);
  EXPECT_TRUE(math::identity_augment().inverse.is_identity());
  const auto got = run(src, {math::identity_augment()}, {1, 1, 5, 6}, kImageNet, DstLayout::nhwc);
  for (std::size_t i = 0; i < src.size(); ++i)
    EXPECT_NEAR(got[i], (src[i] / 255.0 - double{kImageNet.mean[i % 3]}) / kImageNet.std[i % 3],
                1e-6);
}

TEST(Augment, PaddingIsZero) {
  const auto src = random_images(5, 8, 8);
  const std::vector<AugmentParams> params(3);
  const auto got = run(src, params, {5, 3, 8, 8}, kImageNet, DstLayout::nchw);
  EXPECT_TRUE(std::all_of(got.begin() + 3 * 8 * 8 * 3, got.end(), [](float x) { return x == 0; }));
  EXPECT_FALSE(std::all_of(got.begin(), got.begin() + 3, [](float x) { return x == 0; }));
}

TEST(Augment, FlipTurnAndShiftMovePixelsExactly) {
  const int s = 8;
  const auto src = random_images(1, s, s);
  const auto at = [&](int y, int x, int c) {
    return x < 0 || y < 0 || x >= s || y >= s
               ? 0.f
               : static_cast<float>(src[static_cast<std::size_t>((y * s + x) * 3 + c)]) / 255;
  };
  AugmentParams flip, turn, shift;
  flip.flip = 1;
  turn.inverse = math::inverse_affine(90, 0, 0, 1);
  shift.inverse = math::inverse_affine(0, 2, -3, 1);
  const auto flipped = run_one(src, flip, s, s), turned = run_one(src, turn, s, s);
  const auto shifted = run_one(src, shift, s, s);
  for (int y = 0; y < s; ++y)
    for (int x = 0; x < s; ++x)
      for (int c = 0; c < 3; ++c) {
        const auto i = static_cast<std::size_t>((y * s + x) * 3 + c);
        EXPECT_NEAR(flipped[i], at(y, s - 1 - x, c), 1e-6);
        EXPECT_NEAR(turned[i], at(s - 1 - x, y, c), 1e-5) << "clockwise";
        EXPECT_NEAR(shifted[i], at(y + 3, x - 2, c), 1e-6) << "right by 2, up by 3";
      }
}

TEST(Augment, ColourStepsDoWhatTheirNamesSay) {
  const std::vector<std::uint8_t> red = {255, 0, 0}, grey = {90, 90, 90},
                                  two = {0, 0, 0, 255, 255, 255};
  AugmentParams p;
  p.hue = 1.f / 3;
  EXPECT_NEAR(run_one(red, p, 1, 1)[1], 1, 1e-6) << "a third of a turn from red is green";
  EXPECT_NEAR(run_one(red, p, 1, 1)[0], 0, 1e-6);
  for (float x : run_one(grey, p, 1, 1)) EXPECT_NEAR(x, 90 / 255.0, 1e-6);
  p.hue = -1e-9f;
  EXPECT_EQ(run_one(red, p, 1, 1), (std::vector<float>{1, 0, 0})) << "a turn that rounds to one";
  p = {};
  p.saturation = 0;
  for (float x : run_one(red, p, 1, 1)) EXPECT_NEAR(x, 0.2989, 1e-6);
  p = {};
  p.brightness = 4;
  for (float x : run_one(grey, p, 1, 1)) EXPECT_EQ(x, 1) << "clamped";
  p = {};
  p.contrast = 0.5f;
  EXPECT_NEAR(run_one(two, p, 1, 2)[0], 0.25, 1e-4) << "half way to the mean of black and white";
  EXPECT_NEAR(run_one(two, p, 1, 2)[3], 0.75, 1e-4);
}

TEST(Augment, OrderOfTheJitterCounts) {
  const std::vector<std::uint8_t> src = {200, 40, 90, 10, 250, 30};
  AugmentParams a, b;
  a.brightness = b.brightness = 1.5f;
  a.contrast = b.contrast = 0.5f;
  std::swap(b.order[0], b.order[1]);
  EXPECT_GT(std::abs(run_one(src, a, 1, 2)[0] - run_one(src, b, 1, 2)[0]), 0.01);
}

TEST(Augment, ErasesARectangleAndClipsIt) {
  const std::vector<std::uint8_t> white(7 * 9 * 3, 255);
  for (const auto& [top, left, height, width] :
       {std::array{2, 3, 4, 5}, {0, 0, 7, 9}, {5, 7, 100, 100}, {-2, -2, 4, 4}, {9, 9, 3, 3}}) {
    AugmentParams p;
    p.erase_top = top, p.erase_left = left, p.erase_height = height, p.erase_width = width;
    for (const DstLayout layout : {DstLayout::nchw, DstLayout::nhwc}) {
      const auto got = run(white, {p}, {1, 1, 7, 9}, kPlain, layout);
      for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 9; ++x)
          for (int c = 0; c < 3; ++c) {
            const int i = layout == DstLayout::nhwc ? (y * 9 + x) * 3 + c : (c * 7 + y) * 9 + x;
            EXPECT_EQ(got[static_cast<std::size_t>(i)], math::erased(p, x, y) ? 0.f : 1.f);
          }
    }
  }
}

TEST(Augment, HostileMatricesStayInside) {
  const auto src = random_images(1, 16, 16);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, inf, -inf, 1e30f, -1e30f}) {
    AugmentParams p;
    for (float& m : p.inverse.m) m = bad;
    for (const float x : run_one(src, p, 16, 16)) EXPECT_TRUE(x >= 0 && x <= 1);
  }
}

TEST(Augment, DoesNotDependOnTheNumberOfThreads) {
  std::mt19937 g(4);
  const auto src = random_images(9, 21, 30);
  std::vector<AugmentParams> params;
  for (int i = 0; i < 9; ++i) params.push_back(random_params(21, 30, g));
  const int before = omp_get_max_threads();
  omp_set_num_threads(4);
  const auto four = run(src, params, {9, 9, 21, 30}, kImageNet, DstLayout::nchw, 4);
  omp_set_num_threads(before);
  EXPECT_EQ(four, run(src, params, {9, 9, 21, 30}, kImageNet, DstLayout::nchw, 1));
}

TEST(Augment, RefusesUnusableShapes) {
  const auto src = random_images(2, 4, 4);
  const std::vector<AugmentParams> params(2);
  std::vector<float> dst(src.size());
  std::vector<std::byte> scratch(augment_scratch_bytes(4, 4, 1));
  const auto call = [&](AugmentShape shape, std::size_t bytes) {
    augment_batch(src.data(), params.data(), shape, kPlain, DstLayout::nchw, dst.data(),
                  std::span(scratch).first(bytes));
  };
  EXPECT_NO_THROW(call({2, 2, 4, 4}, scratch.size()));
  EXPECT_THROW(call({2, 3, 4, 4}, scratch.size()), Error);
  EXPECT_THROW(call({2, -1, 4, 4}, scratch.size()), Error);
  EXPECT_THROW(call({2, 2, 0, 4}, scratch.size()), Error);
  EXPECT_THROW(call({2, 2, 4, 4}, scratch.size() - 1), Error);
}

}  // namespace
}  // namespace affuse::cpu
