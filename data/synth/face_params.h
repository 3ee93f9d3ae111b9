// Everything random about one synthetic face. Drawing these and painting them are separate, so that
// a sheet can fix some and sweep others.
#pragma once
#include <array>
#include <cstdint>

#include "data/synth/color.h"
#include "data/synth/expression.h"

namespace affuse::synth {

enum class HairStyle { short_hair, long_hair, fringe, bald };

/// Who it is. Lengths in head units (half a head's width is about 1; y down, origin between the
/// eyes and the nose); ranges in draw_identity.
struct Identity {
  float half_width, half_height;  ///< of the head
  float jaw;                      ///< width of the jaw against the head's, 0.72 to 1
  Color skin, hair, brow, iris, lip;
  HairStyle style;
  float hairline, hair_wave;              ///< height of the hairline; phase of its waves
  float eye_x, eye_y, eye_half_width;     ///< centre (mirrored) and half width of an eye
  float lid_upper, lid_lower, eye_slant;  ///< opening above and below, outer corner's height
  float iris_radius;
  float brow_y, brow_arch, brow_tilt, brow_thickness;  ///< thickness is half of it
  float nose_base, nose_half_width;
  float mouth_y, mouth_half_width, lip_upper, lip_lower, corner_rest;
  float beard, moustache, age;  ///< opacities; 0 for none
};

/// Where the head is. Angles in radians, yaw and pitch in sines of the turn.
struct Pose {
  float roll = 0, x = 0, y = .02f, scale = .73f, yaw = 0, pitch = 0;
};

/// Direction (x, y) and strength of the light.
struct Light {
  float x = 0, y = -.4f, strength = .25f;
};

struct Camera {
  float blur = 0;  ///< sigma in 1/64 of the image
  float gamma = 1, contrast = 1, gain = 1;
  Color cast = {1, 1, 1};
  float noise = 0;  ///< sigma of the pixel noise, 1 = full scale
  std::uint64_t noise_seed = 0;
};

struct Glasses {
  bool worn = false;
  float radius = .28f, exponent = 3, frame = .03f;  ///< superellipse; frame is half its thickness
  float tint = 0;                                   ///< opacity of the glass
  Color color;
};

/// A rotated ellipse or rectangle behind the head, in image coordinates.
struct Patch {
  bool shown = false;
  float x = 0, y = 0, half_width = 0, half_height = 0, angle = 0;
  Color color;
};

struct Background {
  Color from, to;
  float angle = 0;
  std::array<Patch, 6> patches;
};

enum class OccluderKind { none, hand, bar, block, garment };

/// Something in front of the face, in head coordinates.
struct Occluder {
  OccluderKind kind = OccluderKind::none;
  float x = 0, y = 0, half_width = .3f, half_height = .2f, angle = 0;
  Color color;
};

struct FaceParams {
  AuVector au{};
  Identity identity{};
  float gaze_x = 0, gaze_y = 0;
  Pose pose;
  Light light;
  Camera camera;
  Glasses glasses;
  Background background;
  Occluder occluder;
};

/// Draws all of a face that shows `va` of class `label`: a pure function of its arguments.
FaceParams draw_face(std::uint64_t seed, std::uint32_t index, int label, Va va);

/// Takes away what hides an expression: frontal pose, even light, no glasses, occluder, blur or
/// noise. Identity, action units and background stay.
FaceParams studio(FaceParams params);

}  // namespace affuse::synth
