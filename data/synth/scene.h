// A face while it is painted, and its painters in the order in which they are called.
#pragma once
#include "data/image.h"
#include "data/synth/canvas.h"

namespace affuse::synth {

/// The outline of the head: an ellipse above, a longer one below that narrows towards the chin.
struct HeadOutline {
  float half_width, upper, lower;  ///< lower includes the jaw drop
  float taper;                     ///< 0 for an oval; narrows the jaw

  float lower_radius(float v) const { return v > 0 ? lower : upper; }
  float distance(float u, float v) const {
    const float low = std::min(std::max(v / 1.2f, 0.f), 1.3f);
    const float narrow = 1 - taper * low * std::sqrt(low);
    return ellipse_distance(u / narrow, v, half_width, lower_radius(v));
  }
  Box box() const { return {-half_width, half_width, -upper, lower}; }
};

struct Scene {
  Scene(const FaceParams& params, int size);

  const FaceParams& p;
  Canvas canvas;
  Frame image, head, face;
  HeadOutline outline;
  Mask skull;    ///< coverage of the head
  Color crease;  ///< colour of folds and wrinkles

  float au(Au unit) const { return p.au[unit]; }
  /// The unit's intensity, limited to `top`: for opacities.
  float shown(Au unit, float top = 1) const { return std::min(p.au[unit], top); }
};

void paint_background(Scene& s);
void paint_behind_head(Scene& s);  ///< neck, shoulders, hair and ears
void paint_head(Scene& s);
void paint_skin(Scene& s);  ///< cheeks, beard, wrinkles
void paint_eyes(Scene& s);
void paint_brows(Scene& s);
void paint_nose(Scene& s);
void paint_mouth(Scene& s);
void paint_front_hair(Scene& s);  ///< moustache and hair above the hairline
void shade_head(Scene& s);
void paint_glasses(Scene& s);
void paint_occluder(Scene& s);

/// Blur, tone, colour cast, noise and rounding to bytes.
Image develop(Scene& s);

}  // namespace affuse::synth
