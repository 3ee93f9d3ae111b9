// A picture as three planes of floats, and the painting of antialiased shapes on it.
#pragma once
#include <cstddef>
#include <vector>

#include "data/synth/shapes.h"

namespace affuse::synth {

/// Coverage of a shape, in [0, 1], over the pixels of a box; zero outside.
struct Mask {
  PixelBox box;
  std::vector<float> cover;  ///< rows of the box

  const float* row(int y) const { return cover.data() + offset(y); }
  float* row(int y) { return cover.data() + offset(y); }

 private:
  std::size_t offset(int y) const {
    return static_cast<std::size_t>(y - box.y0) * static_cast<std::size_t>(box.x1 - box.x0);
  }
};

/// A colour and how much of it is laid over what is there.
struct Paint {
  Color color;
  float alpha = 1;
};

class Canvas {
 public:
  explicit Canvas(int size);

  int size() const { return size_; }
  float* row(int channel, int y) {
    return planes_[static_cast<std::size_t>(channel)].data() +
           static_cast<std::size_t>(y) * static_cast<std::size_t>(size_);
  }

  /// Paints where `cover(u, v)` in [0, 1] says, inside `box` and, if given, inside `clip`.
  template <class Cover>
  void fill(const Frame& f, const Box& box, Paint paint, Cover&& cover,
            const Mask* clip = nullptr) {
    if (paint.alpha <= 0) return;
    const PixelBox p = clipped(pixels_of(f, box, .5f * f.pixel, size_), clip);
    for (int y = p.y0; y < p.y1; ++y) {
      cover_row(f, p, y, cover);
      blend_row(p, y, paint, clip);
    }
  }

  /// Paints a shape given by its distance, with an edge one pixel plus `soft` wide.
  template <class Distance>
  void shape(const Frame& f, const Box& box, Paint paint, float soft, Distance&& distance,
             const Mask* clip = nullptr) {
    const float sharp = 1 / (f.pixel + soft);
    fill(
        f, grown(box, soft), paint,
        [&distance, sharp](float u, float v) { return unit(.5f - distance(u, v) * sharp); }, clip);
  }

  void ellipse(const Frame& f, const Ellipse& e, Paint paint, float soft = 0,
               const Mask* clip = nullptr);
  void stroke(const Frame& f, const Stroke& s, Paint paint, float soft = 0,
              const Mask* clip = nullptr);

  /// Coverage of a shape given by its distance.
  template <class Distance>
  Mask mask(const Frame& f, const Box& box, Distance&& distance) {
    const float sharp = 1 / f.pixel;
    const auto cover = [&](float u, float v) { return unit(.5f - distance(u, v) * sharp); };
    Mask m = blank(pixels_of(f, box, .5f * f.pixel, size_));
    for (int y = m.box.y0; y < m.box.y1; ++y) {
      cover_row(f, m.box, y, cover);
      std::copy_n(cover_.data(), m.box.x1 - m.box.x0, m.row(y));
    }
    return m;
  }

  /// Multiplies what is there by `factor(u, v)`.
  template <class Factor>
  void scale(const Frame& f, const Box& box, Factor&& factor) {
    const PixelBox p = pixels_of(f, box, .5f * f.pixel, size_);
    for (int y = p.y0; y < p.y1; ++y) {
      cover_row(f, p, y, factor);
      scale_row(p, y);
    }
  }

 private:
  static Box grown(const Box& b, float soft) {
    const float by = .7f * soft;
    return {b.u0 - by, b.u1 + by, b.v0 - by, b.v1 + by};
  }
  static PixelBox clipped(PixelBox p, const Mask* clip);
  static Mask blank(PixelBox box);
  void place_row(const Frame& f, const PixelBox& p, int y);
  void blend_row(const PixelBox& p, int y, const Paint& paint, const Mask* clip);
  void scale_row(const PixelBox& p, int y);

  template <class Cover>
  void cover_row(const Frame& f, const PixelBox& p, int y, Cover& cover) {
    place_row(f, p, y);
    const float* __restrict u = u_.data(), * __restrict v = v_.data();
    float* __restrict out = cover_.data();
    for (int i = 0, n = p.x1 - p.x0; i < n; ++i) out[i] = cover(u[i], v[i]);
  }

  int size_;
  std::vector<float> planes_[3];
  std::vector<float> u_, v_, cover_;  // one row at a time
};

}  // namespace affuse::synth
