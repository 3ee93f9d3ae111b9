// Affine maps between pixels and the planes of a face.
#include "data/synth/frame.h"

namespace affuse::synth {

Frame image_frame(int size) {
  const float step = 2 / static_cast<float>(size);
  return {step, 0, .5f * step - 1, 0, step, .5f * step - 1, 1, 1, step};
}

Frame moved(const Frame& f, float u, float v, float angle) {
  const float c = std::cos(angle), s = std::sin(angle);
  const float u1 = f.u1 - u, v1 = f.v1 - v;
  Frame out = f;
  out.ui = c * f.ui + s * f.vi;
  out.uj = c * f.uj + s * f.vj;
  out.u1 = c * u1 + s * v1;
  out.vi = c * f.vi - s * f.ui;
  out.vj = c * f.vj - s * f.uj;
  out.v1 = c * v1 - s * u1;
  return out;
}

Frame head_frame(const Frame& image, const Pose& pose) {
  Frame f = moved(image, pose.x, pose.y, pose.roll);
  for (float* x : {&f.ui, &f.uj, &f.u1, &f.vi, &f.vj, &f.v1, &f.pixel}) *x /= pose.scale;
  return f;
}

Frame face_frame(const Frame& head, const Pose& pose) {
  Frame f = head;
  const float squeeze = 1 - .18f * std::abs(pose.yaw);
  f.u1 -= .42f * pose.yaw;
  for (float* x : {&f.ui, &f.uj, &f.u1}) *x /= squeeze;
  f.v1 -= .30f * pose.pitch;
  f.left = 1 - .18f * pose.yaw;
  f.right = 1 + .18f * pose.yaw;
  return f;
}

PixelBox pixels_of(const Frame& f, const Box& box, float margin, int size) {
  const float determinant = f.ui * f.vj - f.uj * f.vi;
  float x0 = 1e9f, x1 = -1e9f, y0 = 1e9f, y1 = -1e9f;
  for (float u : {box.u0 - margin, box.u1 + margin})
    for (float v : {box.v0 - margin, box.v1 + margin}) {
      const float du = u / (u < 0 ? f.left : f.right) - f.u1, dv = v - f.v1;
      const float i = (f.vj * du - f.uj * dv) / determinant;
      const float j = (f.ui * dv - f.vi * du) / determinant;
      x0 = std::min(x0, i), x1 = std::max(x1, i);
      y0 = std::min(y0, j), y1 = std::max(y1, j);
    }
  const auto pixel = [size](float x) {
    return static_cast<int>(std::clamp(x, 0.f, static_cast<float>(size)));
  };
  return {pixel(std::floor(x0)), pixel(std::floor(x1) + 2), pixel(std::floor(y0)),
          pixel(std::floor(y1) + 2)};
}

}  // namespace affuse::synth
