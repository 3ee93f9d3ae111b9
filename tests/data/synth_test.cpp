// Synthetic faces: purity, statistics of the drawn affect, and whether pictures show it.
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "data/synth/sheets.h"
#include "engine/error.h"

namespace affuse {
namespace {

using synth::FaceParams;
using synth::render;

constexpr int kSize = 128;

// A clean-shaven short-haired person in the studio.
FaceParams person(std::uint32_t index = 3) {
  FaceParams p = synth::studio(synth::draw_face(11, index, 0, {}));
  p.identity.beard = p.identity.moustache = p.identity.age = 0;
  p.identity.corner_rest = p.identity.brow_tilt = p.identity.eye_slant = 0;
  p.identity.half_height = 1.2f;  // the chin stays in the picture when the jaw drops
  p.identity.style = synth::HairStyle::bald;
  p.identity.skin = {.90f, .70f, .56f};
  p.identity.brow = {.05f, .04f, .03f};
  p.au = {};
  return p;
}

Image with(FaceParams p, std::initializer_list<Au> units, float intensity, int size = kSize) {
  p.au = {};
  for (Au au : units) p.au[au] = intensity;
  return render(p, size);
}

/// A rectangle of the face's plane, as pixels of a studio picture.
struct Region {
  double u0, u1, v0, v1;
};

int pixel_of(double head, double shift, int size) {
  return static_cast<int>(std::lround((head * synth::Pose{}.scale + shift + 1) / 2 * size));
}

double luminance(const Image& m, int x, int y) {
  const std::uint8_t* p = &m.rgb[3 * static_cast<std::size_t>(y * m.width + x)];
  return (.3 * p[0] + .59 * p[1] + .11 * p[2]) / 255;
}

// Calls body(luminance, v) for each pixel of the region.
void visit(const Image& m, Region r, const std::function<void(double, double)>& body) {
  const double shift = static_cast<double>(synth::Pose{}.y);
  for (int y = pixel_of(r.v0, shift, m.height); y < pixel_of(r.v1, shift, m.height); ++y)
    for (int x = pixel_of(r.u0, 0, m.width); x < pixel_of(r.u1, 0, m.width); ++x)
      body(luminance(m, x, y),
           ((y + .5) / m.height * 2 - 1 - shift) / static_cast<double>(synth::Pose{}.scale));
}

// Height (v) of what is darker than `below`: its centre of mass.
double dark_height(const Image& m, Region r, double below) {
  double sum = 0, weight = 0;
  visit(m, r, [&](double l, double v) {
    const double w = std::max(below - l, 0.);
    sum += w * v, weight += w;
  });
  return sum / weight;
}

double difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

double difference(const Image& a, const Image& b, Region r) {
  double sum = 0;
  std::vector<double> first;
  visit(a, r, [&](double l, double) { first.push_back(l); });
  auto it = first.begin();
  visit(b, r, [&](double l, double) { sum += std::abs(l - *it++); });
  return sum;
}

TEST(SynthFace, IsAPureFunctionOfSeedIndexAndClass) {
  const SynthOptions options{.seed = 9, .size = 32};
  constexpr std::uint32_t kCount = 24;
  std::array<Image, kCount> forward, threaded;
  for (std::uint32_t i = 0; i < kCount; ++i) forward[i] = synth_face(options, i, i % 8).image;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        for (std::uint32_t i = kCount; i-- > 0;)
          if (i % 3 == t) threaded[i] = synth_face(options, i, i % 8).image;
      });
  }
  for (std::uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(forward[i].rgb, threaded[i].rgb) << i;

  const SynthFace face = synth_face(options, 5, 1);
  const auto differs = [&](const SynthOptions& o, std::uint32_t index, int label) {
    return difference(face.image, synth_face(o, index, label).image);
  };
  EXPECT_GT(differs(options, 6, 1), 5);
  EXPECT_GT(differs({.seed = 10, .size = 32}, 5, 1), 5);
  EXPECT_GT(differs({.seed = 9 + (std::uint64_t{1} << 32), .size = 32}, 5, 1), 5);
  EXPECT_GT(differs(options, 5, 3), 0);
}

TEST(SynthFace, SplitsIntoAnnotationParametersAndPicture) {
  const SynthOptions options{.seed = 4, .size = 48};
  const SynthFace face = synth_face(options, 77, 4), known = synth_annotation(options, 77, 4);
  EXPECT_EQ(face.true_va.valence, known.true_va.valence);
  EXPECT_EQ(face.annotated_va.arousal, known.annotated_va.arousal);
  EXPECT_TRUE(known.image.rgb.empty());
  EXPECT_EQ(render(synth::draw_face(4, 77, 4, known.true_va), 48).rgb, face.image.rgb);
}

TEST(SynthFace, RefusesWhatIsOutOfRange) {
  EXPECT_THROW(synth_face({}, 0, -1), ConfigError);
  EXPECT_THROW(synth_face({}, 0, 8), ConfigError);
  EXPECT_THROW(synth_face({.size = 7}, 0, 0), ConfigError);
  EXPECT_THROW(synth_face({.size = 4097}, 0, 0), ConfigError);
  EXPECT_THROW(synth_face({.va_noise = -.1}, 0, 0), ConfigError);
  EXPECT_THROW(synth_face({.va_noise = std::nan("")}, 0, 0), ConfigError);
}

TEST(SynthFace, LooksTheSameAtAnySize) {
  for (std::uint32_t index : {0u, 1u, 2u}) {
    const FaceParams p = synth::studio(synth::draw_face(21, index, 3, {.2, .7}));
    const Image reference = resize_image(render(p, 256), 32, 32);
    for (int size : {33, 64, 224}) {
      const Image image = render(p, size);
      ASSERT_EQ(image.width, size);
      ASSERT_EQ(image.height, size);
      ASSERT_EQ(image.rgb.size(), 3u * static_cast<std::size_t>(size * size));
      EXPECT_LT(difference(resize_image(image, 32, 32), reference), 4.) << size;
    }
  }
  EXPECT_EQ(render(person(), 8).rgb.size(), 3u * 64);
}

TEST(SynthVa, HasTheMomentsOfAffectNet) {
  constexpr int kDraws = 4000;
  for (int label = 0; label < kAffectNetClasses; ++label) {
    const VaMoments& m = affectnet_va_moments(label);
    double v = 0, a = 0, vv = 0, aa = 0, va = 0;
    for (std::uint32_t i = 0; i < kDraws; ++i) {
      const Va p = synth_annotation({}, i, label).true_va;
      ASSERT_LE(std::hypot(p.valence, p.arousal), 1 + 1e-12);
      v += p.valence, a += p.arousal;
      vv += p.valence * p.valence, aa += p.arousal * p.arousal, va += p.valence * p.arousal;
    }
    v /= kDraws, a /= kDraws;
    const double sv = std::sqrt(vv / kDraws - v * v), sa = std::sqrt(aa / kDraws - a * a);
    // Four standard errors, and .012 for three decimals and for the clipping to the disc.
    EXPECT_NEAR(v, m.mean_v, 4 * m.std_v / std::sqrt(kDraws) + .012) << label;
    EXPECT_NEAR(a, m.mean_a, 4 * m.std_a / std::sqrt(kDraws) + .012) << label;
    EXPECT_NEAR(sv, m.std_v, .02) << label;
    EXPECT_NEAR(sa, m.std_a, .02) << label;
    EXPECT_NEAR((va / kDraws - v * a) / (sv * sa), m.correlation, .12) << label;
  }
}

TEST(SynthVa, AnnotationAddsNoiseInsideTheDisc) {
  constexpr int kDraws = 4000;
  double bias = 0, variance = 0;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const SynthFace quiet = synth_annotation({.va_noise = 0}, i, 1);
    EXPECT_DOUBLE_EQ(quiet.true_va.valence, quiet.annotated_va.valence);
    const SynthFace loud = synth_annotation({.va_noise = .6}, i, 1);
    EXPECT_LE(std::hypot(loud.annotated_va.valence, loud.annotated_va.arousal), 1 + 1e-12);
    EXPECT_EQ(loud.true_va.valence, quiet.true_va.valence);
    const SynthFace face = synth_annotation({.va_noise = .1}, i, 0);  // seldom near the rim
    const double d = face.annotated_va.arousal - face.true_va.arousal;
    bias += d / kDraws, variance += d * d / kDraws;
  }
  EXPECT_NEAR(bias, 0, 4 * .1 / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(variance), .1, 4 * .1 / std::sqrt(2. * kDraws));
}

TEST(SynthVa, MixtureDensityIntegratesToItsWeights) {
  for (int label = 0; label < kAffectNetClasses; ++label) {
    double mass = 0, weights = 0;
    for (const VaGaussian& g : affectnet_va_mixture(label)) weights += g.weight;
    constexpr double kStep = .01;
    for (double v = -2.5; v < 2.5; v += kStep)
      for (double a = -2.5; a < 2.5; a += kStep)
        mass += va_density(affectnet_va_mixture(label), {v, a}) * kStep * kStep;
    EXPECT_NEAR(mass, weights, 1e-3) << label;
    EXPECT_NEAR(weights, 1, 2e-3) << label;
  }
  EXPECT_THROW(affectnet_va_mixture(8), Error);
  EXPECT_THROW(affectnet_va_moments(-1), Error);
  EXPECT_EQ(std::accumulate(kAffectNetTrainCounts.begin(), kAffectNetTrainCounts.end(), 0), 287651);
}

TEST(SynthExpression, GrowsWithTheDistanceFromNeutral) {
  EXPECT_EQ(expression_intensity({.03, .05}), 0);
  EXPECT_NEAR(expression_intensity({0, .86}), 1, 1e-12);
  EXPECT_NEAR(expression_intensity({-1, 0}), std::pow(1.1, .85), 1e-12);
  for (int label = 1; label < kAffectNetClasses; ++label) {
    const VaMoments& m = affectnet_va_moments(label);
    const double length = std::hypot(m.mean_v, m.mean_a);
    FaceParams p = person();
    const Image rest = render(p, kSize);
    double last_units = -1, last_picture = -1;
    for (double radius : {0., .3, .6, .95}) {
      p.au = action_units(label, {m.mean_v / length * radius, m.mean_a / length * radius});
      const double units = std::accumulate(p.au.begin(), p.au.end(), 0.);
      const double picture = difference(render(p, kSize), rest);
      EXPECT_GT(units, last_units) << label << " at " << radius;
      EXPECT_GT(picture, last_picture) << label << " at " << radius;
      last_units = units, last_picture = picture;
    }
    EXPECT_GT(last_picture, .8) << label;
  }
}

TEST(SynthExpression, TellsTheClassesApartAndVariesBetweenPeople) {
  std::array<AuVector, kAffectNetClasses> mean{};
  for (std::size_t k = 0; k < mean.size(); ++k) {
    const VaMoments& m = affectnet_va_moments(static_cast<int>(k));
    mean[k] = action_units(static_cast<int>(k), {m.mean_v, m.mean_a});
    for (std::size_t other = 0; other < k; ++other) {
      double gap = 0;
      for (std::size_t a = 0; a < kAuCount; ++a)
        gap += std::abs(static_cast<double>(mean[k][a] - mean[other][a]));
      EXPECT_GT(gap, .8) << k << " and " << other;
    }
  }
  int left = 0;
  double smirk = 0;
  constexpr int kPeople = 1000;
  for (std::uint32_t i = 0; i < kPeople; ++i) {
    Philox random(3, Purpose::test, i);
    const AuVector au = vary_action_units(mean[7], random);
    const float l = au[kAu14l], r = au[kAu14r];
    left += l > r;
    smirk += static_cast<double>(std::max(l, r)) / kPeople;
    for (float x : au) EXPECT_GE(x, 0);
  }
  EXPECT_NEAR(left, kPeople / 2, 4 * std::sqrt(kPeople) / 2);
  EXPECT_NEAR(smirk, static_cast<double>(mean[7][kAu14r]), .15);
}

TEST(SynthActionUnits, LipCornersFollow12And15) {
  const Region corner = {.20, .34, .45, 1.0}, eyes = {-.7, .7, -.3, .05};
  for (std::uint32_t index : {3u, 8u}) {
    const FaceParams p = person(index);
    const double dark = .35;
    const Image rest = with(p, {}, 0);
    double up = dark_height(rest, corner, dark), down = up;
    for (float x : {.5f, 1.f}) {
      const Image smile = with(p, {kAu12l, kAu12r}, x), frown = with(p, {kAu15}, x);
      const double smile_at = dark_height(smile, corner, dark);
      const double frown_at = dark_height(frown, corner, dark);
      EXPECT_LT(smile_at, up - .015) << index << " at " << x;
      EXPECT_GT(frown_at, down + .01) << index << " at " << x;
      up = smile_at, down = frown_at;
      EXPECT_EQ(difference(smile, rest, eyes), 0);
      EXPECT_GT(difference(smile, rest, {-.6, .6, .2, 1.1}), 1);
    }
    // One side only.
    const Image smirk = with(p, {kAu12r}, 1);
    EXPECT_GT(difference(smirk, rest, {.05, .6, .2, 1.1}), 1);
    EXPECT_EQ(difference(smirk, rest, {-.6, -.05, .2, 1.1}), 0);
  }
}

TEST(SynthActionUnits, JawDropOpensADarkMouthAndLengthensTheFace) {
  const FaceParams p = person();
  const double v = static_cast<double>(p.identity.mouth_y);
  double last = 0;
  for (float x : {.4f, .7f, 1.f}) {
    double area = 0;  // of the mouth's inside, in pixels
    visit(with(p, {kAu26}, x), {-.25, .25, v - .15, v + .4},
          [&](double l, double) { area += l < .15; });
    EXPECT_GT(area, last + 8) << x;
    last = area;
  }
  const double chin = static_cast<double>(p.identity.half_height);
  EXPECT_GT(difference(with(p, {kAu26}, 1), with(p, {}, 0), {-.3, .3, chin + .02, chin + .1}), 1);
}

TEST(SynthActionUnits, BrowsAndLidsMove) {
  const FaceParams p = person();
  const double v = static_cast<double>(p.identity.brow_y),
               u = static_cast<double>(p.identity.eye_x);
  const Region inner = {.20, .28, v - .35, v + .17}, outer = {u + .15, u + .25, v - .3, v + .1};
  const auto height = [&](std::initializer_list<Au> units, float x, Region r) {
    return dark_height(with(p, units, x), r, .3);
  };
  const double rest_in = height({}, 0, inner), rest_out = height({}, 0, outer);
  EXPECT_LT(height({kAu1}, .5f, inner), rest_in - .04);
  EXPECT_LT(height({kAu1}, 1, inner), height({kAu1}, .5f, inner) - .04);
  EXPECT_GT(height({kAu4}, 1, inner), rest_in + .05);
  EXPECT_LT(height({kAu2}, 1, outer), rest_out - .05);
  EXPECT_LT(height({kAu14r}, 1, outer), rest_out - .03);  // the smirk's brow
  const auto white = [&](std::initializer_list<Au> units, float x) {
    double n = 0;
    visit(with(p, units, x), {u - .3, u + .3, -.4, .15}, [&](double l, double) { n += l > .83; });
    return n;
  };
  EXPECT_GT(white({kAu5}, .5f), white({}, 0));
  EXPECT_GT(white({kAu5}, 1), white({kAu5}, .5f));
  EXPECT_LT(white({kAu7}, 1), white({}, 0));
}

TEST(SynthActionUnits, EveryUnitShowsOnEveryFace) {
  for (std::uint32_t index : {1u, 2u, 6u}) {
    const FaceParams p = person(index);
    const Image rest = with(p, {}, 0, 64);
    for (std::size_t au = 0; au < kAuCount; ++au)
      EXPECT_GT(difference(with(p, {static_cast<Au>(au)}, 1, 64), rest), .05) << au;
  }
}

TEST(SynthSheets, HaveTheirTilesInPlace) {
  const SynthOptions options{.seed = 2, .size = 24};
  const Image contact = contact_sheet(options, 3);
  EXPECT_EQ(contact.width, 72);
  EXPECT_EQ(contact.height, 8 * 24);
  const Image face = synth_face(options, 7, 2).image;  // row 2, column 1
  for (int y = 0; y < 24; ++y)
    for (int x = 0; x < 24; ++x)
      ASSERT_EQ(luminance(contact, 24 + x, 48 + y), luminance(face, x, y));
  const Image units = au_sheet(options, 2), sweep = va_sweep_sheet(options, 4);
  EXPECT_EQ(units.width, 9 * 24);
  EXPECT_EQ(units.height, 4 * 24);
  EXPECT_EQ(sweep.width, 4 * 24);
  EXPECT_EQ(sweep.height, 7 * 24);
}

}  // namespace
}  // namespace affuse
