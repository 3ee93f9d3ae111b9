// Linear arithmetic on RGB colours.
#pragma once
#include <algorithm>

namespace affuse::synth {

/// Red, green, blue; nominally in [0, 1].
struct Color {
  float r = 0, g = 0, b = 0;
};

constexpr Color operator*(Color a, float s) { return {a.r * s, a.g * s, a.b * s}; }
constexpr Color operator*(Color a, Color b) { return {a.r * b.r, a.g * b.g, a.b * b.b}; }
constexpr Color operator+(Color a, Color b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
constexpr Color operator+(Color a, float s) { return {a.r + s, a.g + s, a.b + s}; }

/// Every channel limited to [0, top].
constexpr Color limited(Color c, float top = 1) {
  return {std::clamp(c.r, 0.f, top), std::clamp(c.g, 0.f, top), std::clamp(c.b, 0.f, top)};
}

}  // namespace affuse::synth
