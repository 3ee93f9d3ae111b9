// The random draws of a face, with the ranges of every parameter.
#include "data/synth/face_params.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

namespace affuse::synth {
namespace {

constexpr double kPi = std::numbers::pi;

// One stream a group, so that a new parameter in one group leaves the others' draws alone.
enum Stream : std::uint32_t { kExpression = 1, kIdentity, kView, kScene };

/// Draws in the painter's type.
struct Draw {
  Philox random;
  float uniform(double low, double high) { return static_cast<float>(random.uniform(low, high)); }
  float normal(double mean, double std) { return static_cast<float>(random.normal(mean, std)); }
  bool chance(double p) { return random.uniform() < p; }
  Color color(double low, double high) {
    const float r = uniform(low, high), g = uniform(low, high), b = uniform(low, high);
    return {r, g, b};
  }
  Color color_noise(double std) {
    const float r = normal(0, std), g = normal(0, std), b = normal(0, std);
    return {r, g, b};
  }
  std::size_t choice(std::span<const double> probabilities) {
    double rest = random.uniform();
    std::size_t pick = 0;
    while (pick + 1 < probabilities.size() && rest >= probabilities[pick])
      rest -= probabilities[pick++];
    return pick;
  }
};

Color draw_skin(Draw& d) {
  constexpr std::array<Color, 5> kTones = {{{.96f, .82f, .72f},
                                            {.90f, .70f, .56f},
                                            {.74f, .53f, .38f},
                                            {.52f, .35f, .25f},
                                            {.36f, .24f, .18f}}};
  const float tone = d.uniform(0, 3.999);
  const auto i = static_cast<std::size_t>(tone);
  const float t = tone - static_cast<float>(i);
  return limited(kTones[i] * (1 - t) + kTones[i + 1] * t + d.color_noise(.025));
}

Color draw_hair(Draw& d) {
  constexpr std::array<Color, 6> kHair = {{{.08f, .06f, .05f},
                                           {.22f, .13f, .07f},
                                           {.42f, .27f, .13f},
                                           {.80f, .65f, .38f},
                                           {.55f, .22f, .10f},
                                           {.65f, .65f, .66f}}};
  constexpr double kShare[] = {.35, .25, .15, .12, .06, .07};
  const Color base = kHair[d.choice(kShare)];
  return limited(base + d.color_noise(.03));
}

Color draw_iris(Draw& d) {
  constexpr std::array<Color, 4> kIris = {
      {{.25f, .15f, .08f}, {.12f, .08f, .06f}, {.25f, .42f, .60f}, {.30f, .45f, .28f}}};
  constexpr double kShare[] = {.4, .3, .18, .12};
  return kIris[d.choice(kShare)];
}

Color draw_lips(Draw& d, Color skin) {
  const Color natural = skin * Color{.88f, .60f, .60f} + d.color_noise(.03);
  return limited(d.chance(.2) ? natural + Color{.15f, -.10f, -.05f} : natural);
}

Identity draw_identity(Draw d) {
  Identity id{};
  id.half_width = d.uniform(.86, 1.08);
  id.half_height = d.uniform(1.18, 1.42);
  id.jaw = d.uniform(.72, 1);
  id.skin = draw_skin(d);
  id.hair = draw_hair(d);
  id.brow = limited(id.hair * .75f, .55f);
  id.iris = draw_iris(d);
  id.lip = draw_lips(d, id.skin);
  constexpr double kStyles[] = {.4, .3, .2, .1};
  id.style = static_cast<HairStyle>(d.choice(kStyles));
  id.hairline = d.uniform(-.95, -.70);
  id.hair_wave = d.uniform(0, 2 * kPi);
  id.eye_x = d.uniform(.38, .47);
  id.eye_y = d.uniform(-.14, -.02);
  id.eye_half_width = d.uniform(.18, .25);
  id.lid_upper = d.uniform(.075, .115);
  id.lid_lower = d.uniform(.045, .07);
  id.eye_slant = d.normal(0, .03);
  id.iris_radius = d.uniform(.085, .105);
  id.brow_y = d.uniform(-.40, -.31);
  id.brow_arch = d.uniform(.02, .10);
  id.brow_tilt = d.normal(0, .03);
  id.brow_thickness = d.uniform(.03, .065);
  id.nose_base = d.uniform(.28, .40);
  id.nose_half_width = d.uniform(.12, .20);
  id.mouth_y = d.uniform(.66, .78);
  id.mouth_half_width = d.uniform(.28, .38);
  id.lip_upper = d.uniform(.045, .085);
  id.lip_lower = d.uniform(.06, .11);
  id.corner_rest = d.normal(0, .025);
  id.beard = d.chance(.22) ? d.uniform(.2, .64) : 0;
  id.moustache = d.chance(.12) ? d.uniform(.4, .9) : 0;
  id.age = d.uniform(0, .5);
  return id;
}

Glasses draw_glasses(Draw& d) {
  Glasses g;
  g.worn = d.chance(.22);
  g.radius = d.uniform(.24, .32);
  g.exponent = d.uniform(2, 4.5);
  g.frame = d.uniform(.025, .05);
  g.color = Color{.10f, .10f, .12f} + d.uniform(0, .4);
  const float tint = d.uniform(0, .25);
  g.tint = d.chance(.15) ? .75f : tint;
  return g;
}

Pose draw_pose(Draw& d) {
  Pose p;
  p.roll = d.normal(0, 7 * kPi / 180);
  p.x = d.normal(0, .05);
  p.y = d.normal(.02, .05);
  p.scale = d.uniform(.66, .80);
  p.yaw = std::clamp(d.normal(0, .20), -.7f, .7f);
  p.pitch = std::clamp(d.normal(0, .12), -.4f, .4f);
  return p;
}

Light draw_light(Draw& d) {
  const float angle = d.uniform(0, 2 * kPi), tilt = d.uniform(.15, .9);
  return {std::cos(angle) * tilt, std::sin(angle) * tilt * .8f - .15f, d.uniform(.15, .6)};
}

Camera draw_camera(Draw& d) {
  Camera c;
  c.blur = std::abs(d.normal(0, .5));
  c.gamma = d.uniform(.8, 1.3);
  c.contrast = d.uniform(.75, 1.2);
  c.gain = d.uniform(.65, 1.15);
  c.cast = d.color_noise(.05) + 1.f;
  c.noise = d.uniform(.003, .02);
  const std::uint64_t high = d.random.bits();
  c.noise_seed = high << 32 | d.random.bits();
  return c;
}

Background draw_background(Draw& d) {
  Background b;
  b.from = d.color(0, 1);
  b.to = d.color(0, 1);
  b.angle = d.uniform(0, 2 * kPi);
  for (Patch& p : b.patches) {
    p.x = d.uniform(-1.1, 1.1);
    p.y = d.uniform(-1.1, 1.1);
    p.half_width = d.uniform(.05, .5);
    p.half_height = d.uniform(.05, .5);
    p.angle = d.uniform(0, kPi);
    p.color = d.color(0, 1);
    p.shown = d.chance(.75);
  }
  return b;
}

Occluder draw_occluder(Draw& d) {
  constexpr double kKinds[] = {.85, .15 * .35, .15 * .25, .15 * .20, .15 * .20};
  Occluder o;
  o.kind = static_cast<OccluderKind>(d.choice(kKinds));
  o.x = d.uniform(-.8, .8);
  o.y = d.uniform(-.9, 1);
  o.half_width = d.uniform(.2, .42);
  o.half_height = d.uniform(.12, .32);
  o.angle = d.uniform(0, kPi);
  o.color = d.color(0, .9);
  return o;
}

}  // namespace

FaceParams draw_face(std::uint64_t seed, std::uint32_t index, int label, Va va) {
  const auto stream = [=](Stream s) { return Philox(seed, Purpose::synth, index, s); };
  FaceParams p;
  Philox expression = stream(kExpression);
  p.au = vary_action_units(action_units(label, va), expression);
  p.identity = draw_identity({stream(kIdentity)});
  Draw view{stream(kView)};
  p.gaze_x = view.normal(0, .25);
  p.gaze_y = view.normal(0, .15);
  p.pose = draw_pose(view);
  p.light = draw_light(view);
  p.camera = draw_camera(view);
  Draw scene{stream(kScene)};
  p.background = draw_background(scene);
  p.glasses = draw_glasses(scene);
  p.occluder = draw_occluder(scene);
  return p;
}

FaceParams studio(FaceParams params) {
  params.gaze_x = params.gaze_y = 0;
  params.pose = {};
  params.light = {};
  params.camera = {};
  params.glasses = {};
  params.occluder = {};
  return params;
}

}  // namespace affuse::synth
