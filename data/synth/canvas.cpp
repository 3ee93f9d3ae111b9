// Rows of coordinates, coverage and blending.
#include "data/synth/canvas.h"

namespace affuse::synth {

void Stroke::add(Point from, Point to, float radius) {
  const float du = to.u - from.u, dv = to.v - from.v;
  segments[count++] = {from.u, from.v, du, dv, 1 / (du * du + dv * dv + 1e-9f), radius};
  for (Point p : {from, to}) {
    box.u0 = std::min(box.u0, p.u - radius), box.u1 = std::max(box.u1, p.u + radius);
    box.v0 = std::min(box.v0, p.v - radius), box.v1 = std::max(box.v1, p.v + radius);
  }
}

Stroke line(Point from, Point to, float radius) {
  Stroke s{};
  s.add(from, to, radius);
  return s;
}

Stroke curve(Point from, Point control, Point to, float radius, float end_radius) {
  Stroke s{};
  Point last = from;
  for (int i = 1; i <= 6; ++i) {
    const float t = static_cast<float>(i) / 6, a = (1 - t) * (1 - t), b = 2 * t * (1 - t);
    const Point next = {a * from.u + b * control.u + t * t * to.u,
                        a * from.v + b * control.v + t * t * to.v};
    s.add(last, next, radius + (end_radius - radius) * (t - .5f / 6));
    last = next;
  }
  return s;
}

Canvas::Canvas(int size)
    : size_(size),
      u_(static_cast<std::size_t>(size)),
      v_(static_cast<std::size_t>(size)),
      cover_(static_cast<std::size_t>(size)) {
  for (auto& plane : planes_) plane.resize(u_.size() * u_.size());
}

void Canvas::ellipse(const Frame& f, const Ellipse& e, Paint paint, float soft, const Mask* clip) {
  shape(
      f, e.box(), paint, soft,
      [e](float u, float v) { return ellipse_distance(u - e.u, v - e.v, e.ru, e.rv); }, clip);
}

void Canvas::stroke(const Frame& f, const Stroke& s, Paint paint, float soft, const Mask* clip) {
  if (paint.alpha <= 0) return;
  const float sharp = 1 / (f.pixel + soft);
  const PixelBox p = clipped(pixels_of(f, s.box, .5f * (f.pixel + soft), size_), clip);
  const int n = p.x1 - p.x0;
  for (int y = p.y0; y < p.y1; ++y) {
    place_row(f, p, y);
    const float* __restrict u = u_.data(), * __restrict v = v_.data();
    float* __restrict out = cover_.data();
    std::fill_n(out, n, 1e9f);
    for (std::size_t k = 0; k < s.count; ++k) {
      const Stroke::Segment g = s.segments[k];
      for (int i = 0; i < n; ++i) {
        const float a = u[i] - g.u, b = v[i] - g.v;
        const float t = unit((a * g.du + b * g.dv) * g.inverse);
        const float d = std::sqrt(square(a - t * g.du) + square(b - t * g.dv)) - g.radius;
        out[i] = std::min(out[i], d);
      }
    }
    for (int i = 0; i < n; ++i) out[i] = unit(.5f - out[i] * sharp);
    blend_row(p, y, paint, clip);
  }
}

PixelBox Canvas::clipped(PixelBox p, const Mask* clip) {
  if (!clip) return p;
  return {std::max(p.x0, clip->box.x0), std::min(p.x1, clip->box.x1), std::max(p.y0, clip->box.y0),
          std::min(p.y1, clip->box.y1)};
}

Mask Canvas::blank(PixelBox box) {
  if (box.empty()) return {};
  Mask m{box, {}};
  m.cover.resize(static_cast<std::size_t>(box.x1 - box.x0) *
                 static_cast<std::size_t>(box.y1 - box.y0));
  return m;
}

void Canvas::place_row(const Frame& f, const PixelBox& p, int y) {
  float* __restrict u = u_.data(), * __restrict v = v_.data();
  const float j = static_cast<float>(y), ub = f.uj * j + f.u1, vb = f.vj * j + f.v1;
  for (int i = 0, n = p.x1 - p.x0; i < n; ++i) {
    const float x = static_cast<float>(p.x0 + i), s = f.ui * x + ub;
    u[i] = s * (s < 0 ? f.left : f.right);
    v[i] = f.vi * x + vb;
  }
}

void Canvas::blend_row(const PixelBox& p, int y, const Paint& paint, const Mask* clip) {
  const int n = p.x1 - p.x0;
  if (n <= 0) return;
  float* __restrict cover = cover_.data();
  if (clip) {
    const float* __restrict inside = clip->row(y) + (p.x0 - clip->box.x0);
    for (int i = 0; i < n; ++i) cover[i] *= inside[i];
  }
  const float alpha = std::min(paint.alpha, 1.f);
  const float color[3] = {paint.color.r, paint.color.g, paint.color.b};
  for (int c = 0; c < 3; ++c) {
    float* __restrict out = row(c, y) + p.x0;
    const float k = color[c];
    for (int i = 0; i < n; ++i) out[i] += (k - out[i]) * (cover[i] * alpha);
  }
}

void Canvas::scale_row(const PixelBox& p, int y) {
  const float* __restrict factor = cover_.data();
  for (int c = 0; c < 3; ++c) {
    float* __restrict out = row(c, y) + p.x0;
    for (int i = 0, n = p.x1 - p.x0; i < n; ++i) out[i] *= factor[i];
  }
}

}  // namespace affuse::synth
