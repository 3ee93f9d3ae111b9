// Planes that shapes are drawn in, and where their pixels lie.
#pragma once
#include <algorithm>
#include <cmath>

#include "data/synth/face_params.h"

namespace affuse::synth {

/// A rectangle of a plane.
struct Box {
  float u0, u1, v0, v1;
};

/// A half-open rectangle of pixels.
struct PixelBox {
  int x0 = 0, x1 = 0, y0 = 0, y1 = 0;
  bool empty() const { return x0 >= x1 || y0 >= y1; }
};

/// Maps pixel (column i, row j) to plane coordinates: u = ui i + uj j + u1, v = vi i + vj j + v1;
/// then u is stretched by `left` where negative and by `right` elsewhere.
struct Frame {
  float ui, uj, u1, vi, vj, v1;
  float left = 1, right = 1;
  float pixel;  ///< size of a pixel in the plane's units
};

/// The image: [-1, 1]^2, x right, y down.
Frame image_frame(int size);

/// The head, turned by roll in the image's plane and scaled.
Frame head_frame(const Frame& image, const Pose& pose);

/// The features, which lie like a mask on the head: yaw moves them sideways and squeezes the far
/// side, pitch moves them up or down.
Frame face_frame(const Frame& head, const Pose& pose);

/// Coordinates from (u, v), turned by `angle`. The frame must not be stretched.
Frame moved(const Frame& frame, float u, float v, float angle);

/// Pixels of a size x size image that may lie within `margin` of the box.
PixelBox pixels_of(const Frame& frame, const Box& box, float margin, int size);

}  // namespace affuse::synth
