// What lies flat on the face: blush, beard, and the wrinkles that action units fold into it.
#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

void paint_cheeks(Scene& s) {
  const Color blush = limited(s.p.identity.skin * Color{1.05f, .86f, .84f});
  const float raised = s.shown(kAu6);
  for (float side : {-1.f, 1.f})
    s.canvas.ellipse(s.face, {side * .52f, .34f - .06f * s.au(kAu6), .24f, .20f},
                     {blush, .35f + .5f * raised}, .25f, &s.skull);
}

void paint_beard(Scene& s) {
  const Identity& id = s.p.identity;
  const float above = 1 / (s.face.pixel + .25f), lips = 1 / (s.face.pixel + .1f), v0 = id.mouth_y;
  s.canvas.fill(
      s.face, {-1.6f, 1.6f, .4f, 2.2f}, {id.hair * .8f + id.skin * .1f, id.beard},
      [=](float u, float v) {
        return unit(.5f + (v - .55f) * above) *
               unit(.5f + ellipse_distance(u, v - v0, .42f, .20f) * lips);
      },
      &s.skull);
}

void paint_forehead(Scene& s) {
  const float raised = .5f * (s.au(kAu1) + s.au(kAu2)) + .25f * s.p.identity.age;
  if (s.p.identity.style == HairStyle::fringe) return;
  const float sharp = 1 / (s.face.pixel + .02f), ends = 1 / (s.face.pixel + .2f);
  for (float height : {-.60f, -.70f, -.80f})
    s.canvas.fill(
        s.face, {-.55f, .55f, height - .07f, height + .03f},
        {s.crease, .55f * std::min(raised, 1.2f)},
        [=](float u, float v) {
          const float line = std::abs(v - height + .03f * wave(3 * u + 1.5708f)) - .012f;
          return unit(.5f - line * sharp) * unit(.5f - (std::abs(u) - .42f) * ends);
        },
        &s.skull);
}

// Between the brows (AU4), beside the eye (AU6) and on the bridge of the nose (AU9).
void paint_wrinkles(Scene& s, float side) {
  const Identity& id = s.p.identity;
  s.canvas.stroke(s.face, line({side * .06f, -.36f}, {side * .075f, -.20f}, .014f),
                  {s.crease, .9f * s.shown(kAu4, 1.1f)}, .02f);
  for (float i : {0.f, 1.f, 2.f}) {
    const Point eye = {side * (id.eye_x + .27f), id.eye_y + .02f + .02f * i};
    const Point temple = {side * (id.eye_x + .40f), id.eye_y - .06f + .09f * i};
    s.canvas.stroke(s.face, line(eye, temple, .010f), {s.crease, .7f * s.shown(kAu6)}, .02f,
                    &s.skull);
    s.canvas.stroke(s.face,
                    line({side * .03f, -.06f + .075f * i}, {side * .15f, -.10f + .085f * i}, .012f),
                    {s.crease, .9f * s.shown(kAu9, 1.1f)}, .02f);
  }
}

void paint_folds(Scene& s, float side) {
  const Identity& id = s.p.identity;
  const float smile = s.au(side < 0 ? kAu12l : kAu12r), wrinkled = s.au(kAu9);
  const float fold = .15f + .4f * id.age + .7f * wrinkled + .6f * smile;
  s.canvas.stroke(s.face,
                  curve({side * (id.nose_half_width + .03f), id.nose_base - .05f - .05f * wrinkled},
                        {side * (.34f + .06f * smile), id.nose_base + .05f},
                        {side * (.43f + .07f * smile), id.mouth_y - .02f}, .014f),
                  {s.crease, .75f * std::min(fold, 1.1f)}, .03f);
  const float lift = s.au(kAu6), pouch = unit(s.au(kAu6) + s.au(kAu7));
  s.canvas.stroke(s.face,
                  curve({side * (id.eye_x - .15f), id.eye_y + .14f - .03f * lift},
                        {side * id.eye_x, id.eye_y + .20f - .05f * lift},
                        {side * (id.eye_x + .17f), id.eye_y + .12f - .03f * lift}, .012f),
                  {s.crease, .25f + .5f * pouch}, .03f);
}

}  // namespace

void paint_skin(Scene& s) {
  paint_cheeks(s);
  paint_beard(s);
  paint_forehead(s);
  for (float side : {-1.f, 1.f}) {
    paint_wrinkles(s, side);
    paint_folds(s, side);
  }
}

}  // namespace affuse::synth
