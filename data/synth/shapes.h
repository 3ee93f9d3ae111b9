// Signed distances, in the plane's units: negative inside, zero on the edge.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>

#include "data/synth/frame.h"

namespace affuse::synth {

inline float unit(float x) { return std::min(std::max(x, 0.f), 1.f); }
inline float square(float x) { return x * x; }

/// x^p for p in [1, 2], x in [0, 1], within 0.03 of it and exact at both ends: the power of a curve
/// without pow, so that a row vectorises.
inline float power_1_to_2(float x, float p) { return x * ((2 - p) + (p - 1) * x); }

/// x^1.6 for x in [0, 1] within 0.01, flat at 0.
inline float power_1_6(float x) { return x * (.8f * std::sqrt(x) + .2f * x); }

/// sin(x) within 0.06, for x > -40: two parabolas a period.
inline float wave(float x) {
  const float turns = x * .15915494f + 8.5f;
  const float phase = turns - static_cast<float>(static_cast<int>(turns)) - .5f;
  return 8 * phase * (1 - 2 * std::abs(phase));
}

struct Ellipse {
  float u, v, ru, rv;  ///< centre and radii
  Box box() const { return {u - ru, u + ru, v - rv, v + rv}; }
};

/// First-order distance to an ellipse about the origin.
inline float ellipse_distance(float u, float v, float ru, float rv) {
  const float a = u / ru, b = v / rv;
  const float k0 = std::sqrt(a * a + b * b) + 1e-6f;
  const float k1 = std::sqrt(square(a / ru) + square(b / rv)) + 1e-6f;
  return k0 * (k0 - 1) / k1;
}

struct Point {
  float u, v;
};

/// A thick line: one or six segments with round ends; the half thickness may taper.
struct Stroke {
  struct Segment {
    float u, v, du, dv, inverse, radius;
  };
  std::array<Segment, 6> segments;
  std::size_t count = 0;
  Box box{1e9f, -1e9f, 1e9f, -1e9f};

  void add(Point from, Point to, float radius);
};

Stroke line(Point from, Point to, float radius);

/// A quadratic Bezier curve as six segments; half thickness from `radius` to `end_radius`.
Stroke curve(Point from, Point control, Point to, float radius, float end_radius);
inline Stroke curve(Point from, Point control, Point to, float radius) {
  return curve(from, control, to, radius, radius);
}

}  // namespace affuse::synth
