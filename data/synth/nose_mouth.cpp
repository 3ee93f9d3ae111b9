// Nose and mouth: AU9, 12, 14, 15, 16, 20, 23, 25 and 26.
#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

/// Lips as four heights over the width of the mouth; each half has its own corner.
struct Mouth {
  struct Half {
    float width, corner, thin;  ///< half width; height of the corner; factor on the lips
  };
  Half left, right;
  float v, gap, upper_lift, lower_drop, upper, lower;

  struct Heights {
    float side;  ///< distance to the nearer corner's vertical
    float outer_top, inner_top, inner_bottom, outer_bottom;
  };
  Heights at(float u) const {
    const float width = u < 0 ? left.width : right.width;
    const float corner = u < 0 ? left.corner : right.corner;
    const float thin = u < 0 ? left.thin : right.thin;
    const float t = std::min(std::abs(u) / width, 1.05f), arc = std::max(1 - t * t, 0.f);
    const float root = std::sqrt(arc), middle = v + corner * power_1_6(t);
    const float open = gap * power_1_to_2(root, 1.4f);
    const float bow = 1 - .25f * square(std::max(1 - square(t / .216f), 0.f));
    const float top = middle - .4f * open + upper_lift * arc;
    const float bottom = middle + .6f * open + lower_drop * arc;
    return {std::abs(u) - width, top - upper * thin * power_1_to_2(root, 1.1f) * bow, top, bottom,
            bottom + lower * thin * power_1_to_2(root, 1.2f)};
  }
  Box box() const {
    const float high =
        std::max({-left.corner, -right.corner, 0.f}) + .4f * gap + upper - upper_lift;
    const float low = std::max({left.corner, right.corner, 0.f}) + .6f * gap + lower + lower_drop;
    return {-left.width, right.width, v - high - .02f, v + low + .02f};
  }
};

Mouth::Half half_of(const Scene& s, float width, Au pull, Au dimple) {
  const Identity& id = s.p.identity;
  const float thin =
      1 - .65f * s.au(kAu23) - .30f * s.au(kAu20) - .2f * s.au(pull) - .2f * s.au(dimple);
  return {width + .10f * s.au(pull) + .05f * s.au(dimple),
          -.17f * s.au(pull) - .05f * s.au(dimple) + .13f * s.au(kAu15) + .03f * s.au(kAu20) +
              id.corner_rest,
          std::clamp(thin, .2f, 1.2f)};
}

Mouth mouth_of(const Scene& s) {
  const Identity& id = s.p.identity;
  const float au16 = s.au(kAu16), au20 = s.au(kAu20), au23 = s.au(kAu23), au26 = s.au(kAu26);
  const float width =
      id.mouth_half_width + .10f * au20 - .07f * au23 - .05f * au26 * unit(1 - au20);
  const float smile = .5f * (s.au(kAu12l) + s.au(kAu12r));  // parted lips show more teeth in it
  const float gap = .075f * s.au(kAu25) + .05f * s.au(kAu25) * smile + .26f * au26 + .05f * au16 +
                    .04f * au20 - .03f * au23;
  return {half_of(s, width, kAu12l, kAu14l),
          half_of(s, width, kAu12r, kAu14r),
          id.mouth_y + .22f * au26 * .45f,
          std::clamp(gap, 0.f, .5f),
          -.06f * s.au(kAu9),
          .036f * au16,
          id.lip_upper,
          id.lip_lower * (1 + .25f * au16)};
}

// Teeth behind the upper lip in a smile, a snarl or a stretch; behind the lower one when it drops.
void paint_teeth(Scene& s, const Mouth& m, const Mask& inside) {
  const float depth = .075f + .02f * s.au(kAu25);
  const float shown = s.au(kAu12l) + s.au(kAu12r) + s.au(kAu9) + .6f * s.au(kAu26) + s.au(kAu20);
  s.canvas.shape(
      s.face, m.box(), {{.92f, .92f, .92f}, .9f * unit(shown)}, 0,
      [&m, depth](float u, float v) { return v - m.at(u).inner_top - depth; }, &inside);
  s.canvas.shape(
      s.face, m.box(), {{.88f, .88f, .88f}, .85f * unit(s.au(kAu16) + .6f * s.au(kAu20))}, 0,
      [&m](float u, float v) { return m.at(u).inner_bottom - .06f - v; }, &inside);
}

void paint_opening(Scene& s, const Mouth& m) {
  const auto band = [&m](float u, float v) {
    const Mouth::Heights h = m.at(u);
    return std::max(std::max(h.inner_top - v, v - h.inner_bottom), h.side + .02f);
  };
  if (m.gap > .012f) {
    const Mask inside = s.canvas.mask(s.face, m.box(), band);
    s.canvas.fill(
        s.face, m.box(), {{.18f, .05f, .06f}}, [](float, float) { return 1.f; }, &inside);
    paint_teeth(s, m, inside);
    if (m.gap > .15f)
      s.canvas.ellipse(s.face, {0, m.v + .6f * m.gap + m.lower_drop, .16f, .08f},
                       {{.62f, .25f, .27f}, .8f}, 0, &inside);
  }
  if (m.gap <= .03f)
    s.canvas.shape(s.face, m.box(), {s.p.identity.skin * .28f, .85f}, 0, [&m](float u, float v) {
      const Mouth::Heights h = m.at(u);
      return std::max(std::abs(v - .5f * (h.inner_top + h.inner_bottom)) - .013f, h.side);
    });
}

void paint_corner(Scene& s, const Mouth& m, float side) {
  const Mouth::Half& half = side < 0 ? m.left : m.right;
  const float u = side * half.width, v = m.v + half.corner;
  const float dimple = .95f * s.au(side < 0 ? kAu14l : kAu14r);
  const float crease = .2f * s.au(side < 0 ? kAu12l : kAu12r);
  s.canvas.stroke(s.face,
                  curve({u + side * .05f, v - .10f}, {u + side * .10f, v - .01f},
                        {u + side * .04f, v + .08f}, .018f),
                  {s.crease * .85f, .95f * unit(dimple + crease)}, .02f);
  s.canvas.stroke(s.face, line({u, v}, {u + side * .05f, v + .07f}, .012f),
                  {s.crease, .8f * s.shown(kAu15)}, .02f);
}

}  // namespace

void paint_nose(Scene& s) {
  const Identity& id = s.p.identity;
  const float turn = .16f * s.p.pose.yaw, dark = s.p.pose.yaw < 0 ? -1.f : 1.f;
  const float base = id.nose_base - .06f * s.au(kAu9), w = id.nose_half_width;
  s.canvas.stroke(s.face,
                  curve({turn - .05f * dark, -.12f}, {turn - .04f * dark, .1f},
                        {turn - .7f * w * dark, base - .05f}, .018f),
                  {s.crease, .55f}, .04f);
  for (float side : {-1.f, 1.f}) {
    s.canvas.ellipse(s.face, {turn + side * .55f * w, base + .01f, .045f, .026f},
                     {id.skin * .30f, .85f});
    s.canvas.stroke(
        s.face,
        curve({turn + side * .8f * w, base - .09f}, {turn + side * 1.25f * w, base - .02f},
              {turn + side * .85f * w, base + .03f}, .012f),
        {s.crease, .7f}, .02f);
  }
  s.canvas.ellipse(s.face, {turn, base - .10f, .05f, .07f}, {limited(id.skin * 1.18f), .5f}, .08f);
}

void paint_mouth(Scene& s) {
  const Mouth m = mouth_of(s);
  s.canvas.ellipse(s.face, {0, m.v + .20f + .6f * m.gap, .2f, .05f},
                   {s.crease, .45f + .2f * s.au(kAu15)}, .1f);
  s.canvas.shape(s.face, m.box(), {s.p.identity.lip, .95f}, 0, [&m](float u, float v) {
    const Mouth::Heights h = m.at(u);
    return std::max(std::max(h.outer_top - v, v - h.outer_bottom), h.side);
  });
  s.canvas.ellipse(s.face, {0, m.v + .6f * m.gap + m.lower_drop + .5f * m.lower, .13f, .018f},
                   {limited(s.p.identity.lip * 1.25f + .04f), .45f}, .05f);
  paint_opening(s, m);
  for (float side : {-1.f, 1.f}) paint_corner(s, m, side);
}

}  // namespace affuse::synth
