// A stem with all its arrays, and its max pool in double, for the tests of forward and backward.
#pragma once
#include <functional>

#include "kernels/cuda/stem.h"
#include "tests/kernels/cuda/nhwc.h"

namespace affuse {

namespace gpu_kernels = affuse::AFFUSE_CUDA_NAMESPACE;

namespace stem {

using gpu_kernels::PoolMaps;
using nhwc::Floats;
using nhwc::Tensor;

inline const std::vector<PoolMaps> odd_stems = {{1, 8, 1, 1},  {3, 16, 7, 9},   {2, 24, 8, 5},
                                                {2, 72, 3, 4}, {2, 16, 32, 33}, {3, 16, 1, 6}};

/// The pixel of tap `tap` of window `o`, -1 outside the map.
inline int pixel_of(const PoolMaps& s, int o, int tap) {
  const int y = 2 * (o / s.out_w()) - 1 + tap / 3, x = 2 * (o % s.out_w()) - 1 + tap % 3;
  return y < 0 || x < 0 || y >= s.h || x >= s.w ? -1 : y * s.w + x;
}

struct Maximum {
  double value;
  int pixel;
};

/// The first of the largest value(pixel) in window `o`.
inline Maximum first_maximum(const PoolMaps& s, int o, const std::function<double(int)>& value) {
  Maximum best{-INFINITY, -1};
  for (int tap = 0; tap < 9; ++tap) {
    const int p = pixel_of(s, o, tap);
    if (p >= 0 && value(p) > best.value) best = {value(p), p};
  }
  return best;
}

template <class T>
struct Problem {
  PoolMaps s;
  Tensor<T> x, y, dy, dy2, g, dx;
  DeviceVector<std::uint8_t> index;
  Floats mean, invstd, gamma, beta, dgamma, dbeta;
  DeviceVector<char> partial;
  DeviceValue<StepState> state;

  Problem(const PoolMaps& shape, int valid)
      : s(shape),
        x(nhwc::random<T>(s.in(), 1, 2, 1)),
        y(s.out()),
        dy(nhwc::random<T>(s.out(), 2)),
        dy2(nhwc::random<T>(s.out(), 3)),
        g(nhwc::random<T>(s.out(), 4)),
        dx(nhwc::random<T>(s.in(), 5)),
        index(s.out().size(), 0xEE),
        mean(nhwc::random_floats(s.c, 6, 0.8f, 1.2f)),
        invstd(nhwc::random_floats(s.c, 7, 0.4f, 0.6f)),
        gamma(nhwc::random_floats(s.c, 8, -1.5f, 1.5f)),
        beta(nhwc::random_floats(s.c, 9, -0.5f, 1)),
        dgamma(gamma.size(), NAN),
        dbeta(gamma.size(), NAN),
        partial(gpu_kernels::stem_partial_bytes(s)) {
    gamma[1] = 0;
    gamma[3] = 1e-3f;
    beta[1] = beta[3] = 0.7f;
    gamma[4] = -1e-3f;  // y never shows v here: beta is negative, all is dead
    beta[4] = -0.5f;
    state->valid = valid;
  }
  int pixel(int o, int tap) const { return pixel_of(s, o, tap); }
  double normal(int n, int p, int c) const {
    const auto k = static_cast<std::size_t>(c);
    return (x(n, p, c) - double{mean[k]}) * double{invstd[k]};
  }
  double normalised(int n, int p, int c) const {
    const auto k = static_cast<std::size_t>(c);
    return normal(n, p, c) * double{gamma[k]} + double{beta[k]};
  }
  gpu_kernels::StemApply<T> apply_arguments() {
    return {x.ptr(), mean.data(), invstd.data(), gamma.data(), beta.data(), y.ptr(), index.data()};
  }
  void forward() { gpu_kernels::stem_apply(apply_arguments(), s, nullptr); }
  gpu_kernels::StemBackward<T> arguments(bool fork, bool keep) {
    return {.dy = dy.ptr(),
            .dy2 = fork ? dy2.ptr() : nullptr,
            .y = y.ptr(),
            .index = index.data(),
            .x = x.ptr(),
            .mean = mean.data(),
            .invstd = invstd.data(),
            .gamma = gamma.data(),
            .beta = beta.data(),
            .partial = partial.data(),
            .g = keep ? g.ptr() : nullptr,
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .dx = dx.ptr(),
            .state = state.get()};
  }
  void backward(const gpu_kernels::StemBackward<T>& a) {
    gpu_kernels::stem_backward_sums(a, s, nullptr);
    gpu_kernels::stem_backward_apply(a, s, nullptr);
  }
};

}  // namespace stem
}  // namespace affuse
