// Eyes and brows: AU1, 2, 4, 5, 6, 7 and 9.
#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

/// The opening of one eye between two lids, each a height over the eye's width.
struct Lids {
  float u, v, half_width, slant, up, down, droop;

  struct Heights {
    float t, top, bottom;
  };
  Heights at(float x) const {
    const float t = (x - u) / half_width, arc = std::max(1 - t * t, 0.f);
    const float middle = v - slant * t;
    return {t, middle - up * power_1_to_2(std::sqrt(arc), 1.6f) + droop * t, middle + down * arc};
  }
  float distance(float x, float y) const {
    const Heights h = at(x);
    return std::max(std::max(h.top - y, y - h.bottom), (std::abs(h.t) - 1) * half_width);
  }
  Box box() const {
    const float skew = std::abs(slant) + std::abs(droop);
    const float wide = 1.05f * half_width;
    return {u - wide, u + wide, v - up - skew, v + down + skew};
  }
};

Lids lids_of(const Scene& s, float side) {
  const Identity& id = s.p.identity;
  const float au4 = s.au(kAu4), au5 = s.au(kAu5), au6 = s.au(kAu6), au7 = s.au(kAu7),
              au9 = s.au(kAu9), au15 = s.au(kAu15);
  const float upper = 1 + .95f * au5 - .22f * au4 * (1 - unit(au5)) - .30f * au7 - .30f * au6 -
                      .40f * au9 - .12f * au15;
  const float lower = 1 + .35f * au5 - .75f * au6 - .70f * au7 - .5f * au9;
  const float up = std::clamp(id.lid_upper * upper, .012f, .24f);
  const float down = std::clamp(id.lid_lower * lower, .004f, .12f);
  const float sad = .35f * s.au(kAu1) * unit(au15);
  return {side * id.eye_x, id.eye_y, id.eye_half_width, side * id.eye_slant, up, down,
          side * sad * up};
}

void paint_eye(Scene& s, float side) {
  const Identity& id = s.p.identity;
  const Lids lids = lids_of(s, side);
  Canvas& c = s.canvas;
  c.ellipse(s.face, {lids.u, lids.v - .02f, 1.25f * lids.half_width, .17f}, {id.skin * .82f, .5f},
            .15f);
  const Mask opening =
      c.mask(s.face, lids.box(), [&lids](float u, float v) { return lids.distance(u, v); });
  c.fill(
      s.face, lids.box(), {{.93f, .91f, .89f}}, [](float, float) { return 1.f; }, &opening);
  const float u = lids.u + s.p.gaze_x * lids.half_width * .5f;
  const float v = lids.v - .02f + .05f * s.p.gaze_y, r = id.iris_radius;
  const auto disc = [&](float du, float dv, float radius, Paint paint) {
    c.ellipse(s.face, {u + du, v + dv, radius, radius}, paint, 0, &opening);
  };
  disc(0, 0, r, {id.iris});
  disc(0, 0, .45f * r, {{.03f, .03f, .03f}});
  disc(-.03f, -.035f, .02f, {{1, 1, 1}, .9f});
  c.shape(s.face, lids.box(), {id.skin * .22f, .9f}, 0, [&lids](float x, float y) {
    const Lids::Heights h = lids.at(x);
    return std::max(std::abs(y - h.top) - .016f, (std::abs(h.t) - 1.02f) * lids.half_width);
  });
  Box above = lids.box();
  above.v0 -= .08f;
  c.shape(s.face, above, {s.crease, .45f}, .03f, [&lids](float x, float y) {
    const Lids::Heights h = lids.at(x);
    return std::max(std::abs(y - h.top + .055f) - .006f, (std::abs(h.t) - .95f) * lids.half_width);
  });
  c.shape(s.face, lids.box(), {s.crease, .6f}, 0, [&lids](float x, float y) {
    const Lids::Heights h = lids.at(x);
    return std::max(std::abs(y - h.bottom) - .008f, (std::abs(h.t) - 1) * lids.half_width);
  });
}

// A one-sided smirk raises the brow of its side: not in FACS, but without it Contempt is a few
// pixels at one corner of the mouth.
float smirk_raise(const Scene& s, float side) {
  const float lead = (s.au(kAu14r) - s.au(kAu14l)) * side;
  return unit(.55f * (lead - .15f));
}

void paint_brow(Scene& s, float side) {
  const Identity& id = s.p.identity;
  const float au1 = s.au(kAu1), au4 = s.au(kAu4), au9 = s.au(kAu9);
  const float au2 = s.au(kAu2) + smirk_raise(s, side);
  const float inner = id.brow_y - .17f * au1 + .15f * au4 + .07f * au9 + id.brow_tilt;
  const float middle = id.brow_y - id.brow_arch - .08f * au1 - .17f * au2 + .09f * au4 + .05f * au9;
  const float outer =
      id.brow_y + .03f - .16f * au2 - .02f * au4 + .03f * au1 * unit(1 - au2) - id.brow_tilt;
  s.canvas.stroke(
      s.face,
      curve({side * (.19f - .06f * au4), inner}, {side * id.eye_x * 1.02f, middle - .02f},
            {side * (id.eye_x + .28f), outer}, id.brow_thickness, .55f * id.brow_thickness),
      {id.brow, .95f});
}

}  // namespace

void paint_eyes(Scene& s) {
  for (float side : {-1.f, 1.f}) paint_eye(s, side);
}

void paint_brows(Scene& s) {
  for (float side : {-1.f, 1.f}) paint_brow(s, side);
}

}  // namespace affuse::synth
