// One synthetic face: draw its affect, draw its parameters, paint it.
#include "data/synth/face.h"

#include <fmt/format.h>

#include "data/synth/scene.h"
#include "engine/error.h"

namespace affuse {
namespace synth {

Scene::Scene(const FaceParams& params, int size)
    : p(params),
      canvas(size),
      image(image_frame(size)),
      head(head_frame(image, p.pose)),
      face(face_frame(head, p.pose)),
      outline{p.identity.half_width, .92f * p.identity.half_height,
              p.identity.half_height + .22f * p.au[kAu26], .45f * (1 - p.identity.jaw)},
      skull(canvas.mask(head, outline.box(),
                        [o = outline](float u, float v) { return o.distance(u, v); })),
      crease(p.identity.skin * Color{.62f, .55f, .52f}) {}

Image render(const FaceParams& params, int size) {
  Scene s(params, size);
  paint_background(s);
  paint_behind_head(s);
  paint_head(s);
  paint_skin(s);
  paint_eyes(s);
  paint_brows(s);
  paint_nose(s);
  paint_mouth(s);
  paint_front_hair(s);
  shade_head(s);
  paint_glasses(s);
  paint_occluder(s);
  return develop(s);
}

}  // namespace synth

SynthFace synth_annotation(const SynthOptions& options, std::uint32_t index, int label) {
  if (label < 0 || label >= kAffectNetClasses)
    throw ConfigError(fmt::format("synthetic face {}: class {} is not one of 0..7", index, label));
  if (options.size < 8 || options.size > 4096)
    throw ConfigError(
        fmt::format("synthetic faces: size {} is outside 8..4096 pixels", options.size));
  if (!(options.va_noise >= 0 && options.va_noise <= 10))
    throw ConfigError(
        fmt::format("synthetic faces: VA noise {} is outside 0..10", options.va_noise));
  Philox random(options.seed, Purpose::synth, index);
  SynthFace face;
  face.label = label;
  face.true_va = draw_va(label, random);
  face.annotated_va = annotate_va(face.true_va, options.va_noise, random);
  return face;
}

SynthFace synth_face(const SynthOptions& options, std::uint32_t index, int label) {
  SynthFace face = synth_annotation(options, index, label);
  face.image =
      synth::render(synth::draw_face(options.seed, index, label, face.true_va), options.size);
  return face;
}

}  // namespace affuse
