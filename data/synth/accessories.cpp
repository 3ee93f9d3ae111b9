// What covers a face: glasses, a hand, a bar, a block, a cap or a scarf.
#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

/// |x|^p + |y|^p = 1 as Fernandez-Guasti's squircle of the same diagonal, which needs no pow.
struct Squircle {
  explicit Squircle(float exponent) {
    const float diagonal = std::exp2(2 / exponent) - 1;
    squareness = 4 * (1 - diagonal * diagonal);
  }
  float norm(float x, float y) const {
    const float xx = x * x, yy = y * y, q = xx + yy;
    return std::sqrt(.5f * (q + std::sqrt(std::max(q * q - squareness * xx * yy, 0.f))));
  }
  float squareness;
};

void paint_hand(Scene& s, const Frame& f, const Occluder& o) {
  const Color skin = s.p.identity.skin;
  s.canvas.ellipse(f, {0, 0, o.half_width, o.half_height}, {skin * .9f});
  for (float i : {-1.f, 0.f, 1.f})
    s.canvas.stroke(f,
                    line({.6f * o.half_width, .6f * i * o.half_height},
                         {1.7f * o.half_width, .8f * i * o.half_height}, .07f),
                    {skin * .88f});
}

void paint_garment(Scene& s, const Occluder& o) {
  const float hw = s.outline.half_width, upper = s.outline.upper, lower = s.outline.lower;
  const bool scarf = o.y > .4f;
  const float edge = scarf ? 1.0f + .1f * o.x : -.62f - .1f * o.x;
  const Box box = {-1.2f * hw, 1.2f * hw, scarf ? edge : -1.2f * upper,
                   scarf ? 1.6f * lower : edge};
  s.canvas.shape(s.head, box, {o.color}, 0, [=](float u, float v) {
    const float dome = ellipse_distance(u, v, 1.15f * hw, 1.12f * upper);
    return scarf ? std::max(edge - v, std::abs(u) - 1.05f * hw) : std::max(v - edge, dome);
  });
}

}  // namespace

void paint_glasses(Scene& s) {
  const Glasses& g = s.p.glasses;
  const Identity& id = s.p.identity;
  if (!g.worn) return;
  const float r = g.radius, t = g.frame, inverse_u = 1 / r, inverse_v = 1 / (.82f * r);
  const Squircle rim(g.exponent);
  for (float side : {-1.f, 1.f}) {
    const float u0 = side * id.eye_x, v0 = id.eye_y + .03f;
    const Box box = {u0 - r - t, u0 + r + t, v0 - r - t, v0 + r + t};
    const auto distance = [=](float u, float v) {
      return (rim.norm((u - u0) * inverse_u, (v - v0) * inverse_v) - 1) * r;
    };
    s.canvas.shape(s.face, box, {g.color * .5f, g.tint}, 0, distance);
    s.canvas.shape(s.face, box, {g.color}, 0,
                   [=](float u, float v) { return std::abs(distance(u, v)) - t; });
    s.canvas.stroke(
        s.face,
        line({side * (id.eye_x + r), id.eye_y - .03f}, {side * 1.05f, id.eye_y - .06f}, .8f * t),
        {g.color}, 0, &s.skull);
  }
  s.canvas.stroke(s.face,
                  line({r - id.eye_x, id.eye_y - .02f}, {id.eye_x - r, id.eye_y - .02f}, .8f * t),
                  {g.color});
}

void paint_occluder(Scene& s) {
  const Occluder& o = s.p.occluder;
  const Frame f = moved(s.head, o.x, o.y, o.angle);
  const float w = o.half_width, h = o.half_height, shift = o.x < 0 ? -.5f : .5f;
  switch (o.kind) {
    case OccluderKind::none:
      return;
    case OccluderKind::hand:
      return paint_hand(s, f, o);
    case OccluderKind::bar:
      return s.canvas.shape(f, {-1.3f, 1.3f, -.09f, .09f}, {o.color}, 0, [](float u, float v) {
        return std::max(std::abs(v) - .09f, std::abs(u) - 1.3f);
      });
    case OccluderKind::block:
      return s.canvas.shape(f, {shift - w, shift + w, -h, h}, {o.color}, 0, [=](float u, float v) {
        return std::max(std::abs(u - shift) - w, std::abs(v) - h);
      });
    case OccluderKind::garment:
      return paint_garment(s, o);
  }
}

}  // namespace affuse::synth
