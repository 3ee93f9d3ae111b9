// Everything but the face's features: background, neck, hair, ears, skull and its shading.
#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

constexpr Box kEverything = {-9, 9, -9, 9};

bool long_haired(const Scene& s) { return s.p.identity.style == HairStyle::long_hair; }
bool bald(const Scene& s) { return s.p.identity.style == HairStyle::bald; }

void paint_patch(Scene& s, const Patch& patch, bool round) {
  const Frame f = moved(s.image, patch.x, patch.y, patch.angle);
  const float w = patch.half_width, h = patch.half_height;
  const Paint paint = {patch.color, patch.shown ? .8f : 0};
  if (round) return s.canvas.ellipse(f, {0, 0, w, h}, paint, .02f);
  s.canvas.shape(f, {-w, w, -h, h}, paint, .02f,
                 [w, h](float u, float v) { return std::max(std::abs(u) - w, std::abs(v) - h); });
}

void paint_ears(Scene& s) {
  const Identity& id = s.p.identity;
  if (long_haired(s)) return;
  for (float side : {-1.f, 1.f}) {
    const float u = side * .99f * id.half_width - .22f * s.p.pose.yaw;
    const float v = .08f - .1f * s.p.pose.pitch, seen = unit(1 - side * s.p.pose.yaw * 1.2f);
    s.canvas.ellipse(s.head, {u, v, .13f, .24f}, {id.skin * .85f, seen});
    s.canvas.ellipse(s.head, {u - side * .01f, v + .01f, .06f, .13f}, {id.skin * .68f, .6f * seen},
                     .06f);
  }
}

// Two halves from the groove under the nose to the corners of the mouth; it rides on AU9 and AU12.
void paint_moustache(Scene& s) {
  const Identity& id = s.p.identity;
  const float v = id.mouth_y - id.lip_upper - .045f - .06f * s.au(kAu9);
  const float end = .8f * id.mouth_half_width;
  for (float side : {-1.f, 1.f}) {
    const float pull = s.au(side < 0 ? kAu12l : kAu12r), fall = .07f - .12f * pull;
    s.canvas.stroke(
        s.face,
        curve({side * .02f, v}, {side * .5f * end, v - .03f}, {side * end, v + fall}, .05f, .022f),
        {id.hair * .9f, id.moustache}, .05f);
  }
}

}  // namespace

void paint_background(Scene& s) {
  const Background& b = s.p.background;
  const float c = .5f * std::cos(b.angle), d = .5f * std::sin(b.angle);
  s.canvas.fill(s.image, kEverything, {b.from}, [](float, float) { return 1.f; });
  s.canvas.fill(s.image, kEverything, {b.to},
                [c, d](float x, float y) { return unit(.5f + c * x + d * y); });
  for (std::size_t i = 0; i < b.patches.size(); ++i) paint_patch(s, b.patches[i], i % 2 == 1);
}

void paint_behind_head(Scene& s) {
  const Identity& id = s.p.identity;
  const float hw = id.half_width, hh = id.half_height, turn = -.06f * s.p.pose.yaw;
  if (long_haired(s)) {  // behind the neck too
    const Ellipse fall = {turn, .35f, 1.25f * hw, 1.5f * hh};
    s.canvas.shape(s.head, fall.box(), {id.hair * .6f}, 0, [fall](float u, float v) {
      return std::max(ellipse_distance(u - fall.u, v - fall.v, fall.ru, fall.rv), v - 1.35f);
    });
  }
  s.canvas.shape(s.head, {-.5f * hw, .5f * hw, .6f, 4}, {id.skin * .72f}, 0,
                 [hw](float u, float v) { return std::max(std::abs(u) - .5f * hw, .6f - v); });
  s.canvas.ellipse(s.head, {0, 2.35f, 1.7f, .75f}, {s.p.background.to * .6f + .1f});
  if (!bald(s)) s.canvas.ellipse(s.head, {turn, -.12f, 1.16f * hw, 1.12f * hh}, {id.hair * .8f});
  paint_ears(s);
}

void paint_head(Scene& s) {
  s.canvas.fill(
      s.head, s.outline.box(), {s.p.identity.skin}, [](float, float) { return 1.f; }, &s.skull);
}

void paint_front_hair(Scene& s) {
  const Identity& id = s.p.identity;
  paint_moustache(s);
  if (bald(s)) return;
  const bool fringe = id.style == HairStyle::fringe;
  const float line = fringe ? id.hairline + .25f : id.hairline, bend = fringe ? .25f : .28f;
  const float ripple = fringe ? .10f : .05f, pitch = fringe ? 4.f : 5.f, phase = id.hair_wave;
  const HeadOutline o = s.outline;
  const float inverse = 1 / id.half_width;
  const Box box = {-o.half_width - .05f, o.half_width + .05f, -o.upper - .05f,
                   line + bend + ripple};
  s.canvas.shape(s.head, box, {id.hair}, 0, [=](float u, float v) {
    const float nx = std::min(std::max(u * inverse, -1.f), 1.f);
    const float edge = line + bend * nx * nx + ripple * wave(pitch * u + phase);
    return std::max(o.distance(u, v) - .03f, v - edge);
  });
}

void shade_head(Scene& s) {
  const Light& light = s.p.light;
  const float lx = light.x, ly = light.y, lz = std::sqrt(std::max(1 - lx * lx - ly * ly, .05f));
  const float k = light.strength, hw = 1 / s.outline.half_width;
  const HeadOutline o = s.outline;
  const float sharp = 1 / (s.head.pixel + .1f);
  const float up = 1 / o.upper, down = 1 / o.lower;
  Box box = o.box();
  box = {box.u0 - .1f, box.u1 + .1f, box.v0 - .1f, box.v1 + .1f};
  s.canvas.scale(s.head, box, [=](float u, float v) {
    const float nx = std::min(std::max(u * hw, -1.f), 1.f);
    const float ny = std::min(std::max(v * (v > 0 ? down : up), -1.f), 1.f);
    const float nz = std::sqrt(std::max(1 - nx * nx - ny * ny, .03f));
    const float lambert = unit(nx * lx + ny * ly + nz * lz);
    const float inside = unit(.5f - o.distance(u, v) * sharp);
    return 1 + inside * k * (1.15f * lambert - 1);
  });
}

}  // namespace affuse::synth
