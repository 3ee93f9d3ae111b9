// Augmentation of one pixel in torchvision's formulas (float images in [0, 1]); host and device.
// Order: flip, affine, colour jitter, normalise, erase.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/host_device.h"

namespace affuse::math {

enum class Jitter : std::uint8_t { brightness, contrast, saturation, hue };
inline constexpr int kJitters = 4;

/// x_in = m0 x + m1 y + m2, y_in = m3 x + m4 y + m5, from output to input pixels, both counted
/// from the image's centre.
struct Affine {
  float m[6] = {1, 0, 0, 0, 1, 0};

  AFFUSE_HD bool is_identity() const {
    return m[0] == 1 && m[1] == 0 && m[2] == 0 && m[3] == 0 && m[4] == 1 && m[5] == 0;
  }
};

/// What happens to one image (64 bytes); the default changes nothing.
struct AugmentParams {
  Affine inverse;
  float brightness = 1;  ///< factors >= 0; 1: none
  float contrast = 1;
  float saturation = 1;
  float hue = 0;  ///< turns, in [-0.5, 0.5]; 0: none
  std::int32_t erase_top = 0, erase_left = 0;
  std::int32_t erase_height = 0, erase_width = 0;  ///< 0: nothing is erased
  Jitter order[kJitters] = {Jitter::brightness, Jitter::contrast, Jitter::saturation, Jitter::hue};
  std::uint8_t flip = 0;  ///< 1: mirrored left to right
};

AFFUSE_HD AugmentParams identity_augment() { return {}; }

/// torchvision's _get_inverse_affine_matrix about the image's centre: rotation by angle_deg
/// (clockwise on the screen), translation in pixels, scale > 0, shears in degrees.
AFFUSE_HD Affine inverse_affine(double angle_deg, double tx_px, double ty_px, double scale,
                                double shear_x_deg = 0, double shear_y_deg = 0) {
  const double radian = 3.14159265358979323846 / 180;
  const double turn = angle_deg * radian, sx = shear_x_deg * radian, sy = shear_y_deg * radian;
  const double a = std::cos(turn - sy) / std::cos(sy), c = std::sin(turn - sy) / std::cos(sy);
  const double b = -a * std::tan(sx) - std::sin(turn), d = -c * std::tan(sx) + std::cos(turn);
  const double m0 = d / scale, m1 = -b / scale, m3 = -c / scale, m4 = a / scale;
  return {{float(m0), float(m1), float(-m0 * tx_px - m1 * ty_px), float(m3), float(m4),
           float(-m3 * tx_px - m4 * ty_px)}};
}

template <class Real>
struct Rgb {
  Real r, g, b;
};

/// A pixel as one word: r | g << 8 | b << 16 | inside << 24, inside = 255; 0 outside the image.
AFFUSE_HD std::uint32_t pack_pixel(const std::uint8_t* rgb) {
  return rgb[0] | std::uint32_t{rgb[1]} << 8 | std::uint32_t{rgb[2]} << 16 | 0xFF000000u;
}

/// Byte `channel` of a packed pixel, 0..255.
template <class Real>
AFFUSE_HD Real channel_of(std::uint32_t pixel, int channel) {
  return static_cast<Real>(static_cast<std::int32_t>(pixel >> (8 * channel) & 0xFFu));
}

/// A packed pixel in [0, 1].
template <class Real>
AFFUSE_HD Rgb<Real> unpack_pixel(std::uint32_t pixel) {
  const Real unit = Real(1) / 255;
  return {channel_of<Real>(pixel, 0) * unit, channel_of<Real>(pixel, 1) * unit,
          channel_of<Real>(pixel, 2) * unit};
}

/// Where a bilinear sample lies: pixels (x, y) .. (x + 1, y + 1), x in [-1, width], y in
/// [-1, height], and the shares of x + 1 and y + 1.
template <class Real>
struct Tap {
  int x, y;
  Real right, below;
};

/// Source of output pixel (x, y). A position off the image is moved to where every weight meets
/// pixels outside; so is NaN.
template <class Real>
AFFUSE_HD Tap<Real> affine_tap(const Affine& inverse, int x, int y, int width, int height) {
  const Real cx = Real(width - 1) / 2, cy = Real(height - 1) / 2;
  const Real dx = Real(x) - cx, dy = Real(y) - cy;
  const float* m = inverse.m;
  Real sx = Real(m[0]) * dx + Real(m[1]) * dy + (Real(m[2]) + cx);
  Real sy = Real(m[3]) * dx + Real(m[4]) * dy + (Real(m[5]) + cy);
  sx = sx > Real(-1) ? sx : Real(-1);
  sx = sx < Real(width) ? sx : Real(width);
  sy = sy > Real(-1) ? sy : Real(-1);
  sy = sy < Real(height) ? sy : Real(height);
  const Real left = std::floor(sx), top = std::floor(sy);
  return {static_cast<int>(left), static_cast<int>(top), sx - left, sy - top};
}

/// Bilinear mean of the four packed pixels p<y><x> of a tap, in [0, 1]. RandomAffine(fill=0) blends
/// with its fill by the share of the sample inside the image after grid_sample has already padded
/// with zeros: the share counts twice, here too.
template <class Real>
AFFUSE_HD Rgb<Real> bilinear(Real right, Real below, std::uint32_t p00, std::uint32_t p01,
                             std::uint32_t p10, std::uint32_t p11) {
  const Real w00 = (1 - right) * (1 - below), w01 = right * (1 - below);
  const Real w10 = (1 - right) * below, w11 = right * below;
  const auto mean = [&](int c) {
    return w00 * channel_of<Real>(p00, c) + w01 * channel_of<Real>(p01, c) +
           w10 * channel_of<Real>(p10, c) + w11 * channel_of<Real>(p11, c);
  };
  const Real share = mean(3) * (Real(1) / (255 * 255));
  return {mean(0) * share, mean(1) * share, mean(2) * share};
}

template <class Real>
AFFUSE_HD Real clamp01(Real x) {
  return x < 0 ? Real(0) : x > 1 ? Real(1) : x;
}

template <class Real>
AFFUSE_HD Real grey(const Rgb<Real>& c) {
  return Real(0.2989) * c.r + Real(0.587) * c.g + Real(0.114) * c.b;
}

/// torchvision's _blend of every channel with one value.
template <class Real>
AFFUSE_HD Rgb<Real> blend(const Rgb<Real>& c, Real other, Real ratio) {
  const Real rest = (1 - ratio) * other;
  return {clamp01(ratio * c.r + rest), clamp01(ratio * c.g + rest), clamp01(ratio * c.b + rest)};
}

/// Hue, saturation and value, each in [0, 1] (torchvision's _rgb2hsv); kept in r, g, b.
template <class Real>
AFFUSE_HD Rgb<Real> rgb_to_hsv(const Rgb<Real>& c) {
  const Real high = c.r > c.g ? (c.r > c.b ? c.r : c.b) : (c.g > c.b ? c.g : c.b);
  const Real low = c.r < c.g ? (c.r < c.b ? c.r : c.b) : (c.g < c.b ? c.g : c.b);
  const Real range = high - low;
  const Real saturation = range / (high == low ? Real(1) : high);
  const Real divisor = high == low ? Real(1) : range;
  const Real rc = (high - c.r) / divisor, gc = (high - c.g) / divisor, bc = (high - c.b) / divisor;
  const Real sector = high == c.r ? bc - gc : high == c.g ? 2 + rc - bc : 4 + gc - rc;
  const Real turns = sector / 6 + 1;
  return {turns - std::floor(turns), saturation, high};
}

/// torchvision's _hsv2rgb.
template <class Real>
AFFUSE_HD Rgb<Real> hsv_to_rgb(const Rgb<Real>& hsv) {
  const Real h = hsv.r * 6, s = hsv.g, v = hsv.b;
  const Real floor = std::floor(h), f = h - floor;
  const Real p = clamp01(v * (1 - s)), q = clamp01(v * (1 - s * f));
  const Real t = clamp01(v * (1 - s * (1 - f)));
  const Real i = floor < 6 ? floor : floor - 6;
  return {i == 0 || i == 5 ? v
          : i == 1         ? q
          : i == 4         ? t
                           : p,
          i == 1 || i == 2 ? v
          : i == 3         ? q
          : i == 0         ? t
                           : p,
          i == 3 || i == 4 ? v
          : i == 5         ? q
          : i == 2         ? t
                           : p};
}

template <class Real>
AFFUSE_HD Rgb<Real> adjust_hue(const Rgb<Real>& c, Real turns) {
  Rgb<Real> hsv = rgb_to_hsv(c);
  hsv.r += turns;
  hsv.r -= std::floor(hsv.r);
  return hsv_to_rgb(hsv);
}

/// Whether this step of the jitter changes anything.
AFFUSE_HD bool jitters(const AugmentParams& p, Jitter op) {
  switch (op) {
    case Jitter::brightness:
      return p.brightness != 1;
    case Jitter::contrast:
      return p.contrast != 1;
    case Jitter::saturation:
      return p.saturation != 1;
    case Jitter::hue:
      return p.hue != 0;
  }
  return false;
}

/// One step of the jitter; grey_mean: mean of grey() over the image as it enters the contrast step.
template <class Real>
AFFUSE_HD Rgb<Real> jitter(const AugmentParams& p, Jitter op, const Rgb<Real>& c, Real grey_mean) {
  switch (op) {
    case Jitter::brightness:
      return blend(c, Real(0), Real(p.brightness));
    case Jitter::contrast:
      return blend(c, grey_mean, Real(p.contrast));
    case Jitter::saturation:
      return blend(c, grey(c), Real(p.saturation));
    case Jitter::hue:
      return adjust_hue(c, Real(p.hue));
  }
  return c;
}

/// Steps [first, last) of the jitter, in the sample's order. A kernel reduces grey() of steps
/// [0, contrast_step) to grey_mean, then runs all of them.
template <class Real>
AFFUSE_HD Rgb<Real> jitter_steps(const AugmentParams& p, int first, int last, Rgb<Real> c,
                                 Real grey_mean) {
  for (int i = first; i < last; ++i)
    if (jitters(p, p.order[i])) c = jitter(p, p.order[i], c, grey_mean);
  return c;
}

/// Place of the contrast step in the order; kJitters where contrast is left alone.
AFFUSE_HD int contrast_step(const AugmentParams& p) {
  for (int i = 0; i < kJitters; ++i)
    if (p.order[i] == Jitter::contrast && jitters(p, Jitter::contrast)) return i;
  return kJitters;
}

/// Whether random erasing covers pixel (x, y); the value there is 0 after normalisation.
AFFUSE_HD bool erased(const AugmentParams& p, int x, int y) {
  return y >= p.erase_top && y - p.erase_top < p.erase_height && x >= p.erase_left &&
         x - p.erase_left < p.erase_width;
}

}  // namespace affuse::math
