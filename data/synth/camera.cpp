// From the painted scene to bytes, as a camera would: blur, tone curve, colour, noise.
#include <cstdint>
#include <vector>

#include "data/synth/scene.h"

namespace affuse::synth {
namespace {

int mirrored(int i, int size) {
  const int period = 2 * size, wrapped = (i % period + period) % period;
  return wrapped < size ? wrapped : period - 1 - wrapped;
}

std::vector<float> gaussian_kernel(float sigma) {
  const int radius = static_cast<int>(std::floor(3 * sigma + .5f));
  std::vector<float> k;
  float sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    k.push_back(std::exp(-.5f * square(static_cast<float>(i) / sigma)));
    sum += k.back();
  }
  for (float& x : k) x /= sum;
  return k;
}

// Adds weight * from[0..n) to `to`.
void accumulate(float* __restrict to, const float* __restrict from, float weight, int n) {
  for (int i = 0; i < n; ++i) to[i] += weight * from[i];
}

// Separable, borders mirrored.
void blur(Canvas& canvas, float sigma) {
  const std::vector<float> kernel = gaussian_kernel(sigma);
  const int n = canvas.size(), radius = static_cast<int>(kernel.size() / 2);
  const auto width = static_cast<std::size_t>(n);
  std::vector<float> line(width + 2 * static_cast<std::size_t>(radius)), rows(width * width);
  for (int c = 0; c < 3; ++c) {
    std::fill(rows.begin(), rows.end(), 0.f);
    for (int y = 0; y < n; ++y) {
      for (int i = -radius; i < n + radius; ++i)
        line[static_cast<std::size_t>(i + radius)] = canvas.row(c, y)[mirrored(i, n)];
      for (std::size_t k = 0; k < kernel.size(); ++k)
        accumulate(&rows[static_cast<std::size_t>(y) * width], &line[k], kernel[k], n);
    }
    for (int y = 0; y < n; ++y) {
      std::fill_n(canvas.row(c, y), n, 0.f);
      for (int k = -radius; k <= radius; ++k)
        accumulate(canvas.row(c, y), &rows[static_cast<std::size_t>(mirrored(y + k, n)) * width],
                   kernel[static_cast<std::size_t>(k + radius)], n);
    }
  }
}

// x^gamma in [0, 1] as a mixture of the two nearest of sqrt(x), x and x^2; returns the mean.
float tone(Canvas& canvas, float gamma) {
  const float low = std::max(2 * (1 - gamma), 0.f), high = std::max(gamma - 1, 0.f);
  const float keep = 1 - low - high;
  double sum = 0;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < canvas.size(); ++y) {
      float* __restrict out = canvas.row(c, y);
      for (int i = 0; i < canvas.size(); ++i) {
        const float x = unit(out[i]);
        out[i] = low * std::sqrt(x) + x * (keep + high * x);
      }
      for (int i = 0; i < canvas.size(); ++i) sum += static_cast<double>(out[i]);
    }
  return static_cast<float>(sum / (3. * canvas.size() * canvas.size()));
}

// Nearly normal, variance 1: the sum of four uniform bytes.
float byte_noise(std::uint32_t bits) {
  const std::uint32_t pairs = (bits & 0x00ff00ffu) + ((bits >> 8) & 0x00ff00ffu);
  const auto sum = static_cast<int>((pairs & 0xffffu) + (pairs >> 16));
  return static_cast<float>(sum - 510) * (1 / 147.8f);
}

}  // namespace

Image develop(Scene& s) {
  const Camera& camera = s.p.camera;
  const int n = s.canvas.size();
  if (camera.blur >= .25f) blur(s.canvas, camera.blur * static_cast<float>(n) / 64);
  const float mean = tone(s.canvas, camera.gamma);
  const float cast[3] = {camera.cast.r, camera.cast.g, camera.cast.b};
  Philox noise(camera.noise_seed, Purpose::synth);
  Image image{n, n, {}};
  image.rgb.resize(3 * static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
  std::uint8_t* out = image.rgb.data();
  for (int y = 0; y < n; ++y)
    for (int i = 0; i < n; ++i)
      for (int c = 0; c < 3; ++c) {
        const float lit = ((s.canvas.row(c, y)[i] - mean) * camera.contrast + mean) * camera.gain;
        const float x = lit * cast[c] + camera.noise * byte_noise(noise.bits());
        *out++ = static_cast<std::uint8_t>(std::floor(unit(x) * 255 + .5f));
      }
  return image;
}

}  // namespace affuse::synth
