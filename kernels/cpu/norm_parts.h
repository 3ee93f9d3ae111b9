// Parts of batch norm that the plain unit and the stem share: sums and their per-channel results.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/cpu/channel_sums.h"
#include "kernels/cpu/norm.h"

namespace affuse::cpu {

/// A coefficient array as the packs of its block.
template <int Block>
struct BlockPacks {
  static constexpr int width = lanes<Block>;
  static constexpr int parts = Block / width;
  Floats<width> pack[parts];

  explicit BlockPacks(const std::array<float, 16>& values) {
    for (int j = 0; j < parts; ++j) {
      pack[j] = load<width>(&values[static_cast<std::size_t>(j * width)]);
    }
  }
  const Floats<width>& operator[](int k) const { return pack[k % parts]; }
};

/// The value around which a channel block's moments are summed: the mean of 16 spread pixels, near
/// enough to the true mean that sum(d^2) - sum(d)^2 / N keeps float's digits.
template <int Block, class T>
std::array<float, 16> pivot_of(const T* x, const Maps& m, int cb, int valid) {
  constexpr int width = lanes<Block>;
  constexpr int probes = 16;
  std::array<float, 16> pivot{};
  for (int part = 0; part < Block; part += width) {
    Floats<width> sum{};
    for (int i = 0; i < probes; ++i) {
      const auto sample = static_cast<int>(std::int64_t{i} * valid / probes);
      const auto pixel = static_cast<std::size_t>(std::int64_t{i} * m.hw / probes);
      sum += load<width>(x + m.offset(sample, cb) + pixel * Block + part);
    }
    store<width>(sum / static_cast<float>(probes), &pivot[static_cast<std::size_t>(part)]);
  }
  return pivot;
}

/// Sums of (x - pivot) and its square over the samples in `rows`, the first `valid` count.
template <int Block, class T>
void sum_moments(const T* x, const Maps& m, int cb, Range rows, int valid, ChannelSums& sums) {
  constexpr int width = lanes<Block>;
  const BlockPacks<Block> pivot(pivot_of<Block>(x, m, cb, valid));
  sum_rows<Block>(m, cb, rows, sums, [&](std::size_t at, int k, auto& a, auto& b) {
    const Floats<width> d = load<width>(x + at) - pivot[k];
    a += d;
    b += d * d;
  });
}

/// Statistics of one channel block.
struct Statistics {
  std::array<float, 16> mean{};
  std::array<float, 16> var{};  // biased
  std::array<float, 16> invstd{};

  void write(int block, float* to_mean, float* to_var, float* to_invstd) const {
    std::copy_n(mean.data(), block, to_mean);
    std::copy_n(var.data(), block, to_var);
    if (to_invstd != nullptr) std::copy_n(invstd.data(), block, to_invstd);
  }
};

/// The statistics of `count` values per channel from their sums around the pivot.
template <int Block, class T>
Statistics statistics_of(const T* x, const Maps& m, int cb, int valid, const ChannelSums& sums,
                         double count, float eps) {
  const std::array<float, 16> pivot = pivot_of<Block>(x, m, cb, valid);
  Statistics s;
  for (std::size_t i = 0; i < Block; ++i) {
    const double shift = sums.first[i] / count;
    const double var = sums.second[i] / count - shift * shift;
    s.mean[i] = static_cast<float>(double{pivot[i]} + shift);
    s.var[i] = static_cast<float>(var < 0 ? 0.0 : var);  // NaN stays
  }
  bn_invstd(s.var.data(), Block, eps, s.invstd.data());
  return s;
}

/// y = (x - mean) * scale + beta for one channel block.
struct Affine {
  std::array<float, 16> mean;
  std::array<float, 16> scale;
  std::array<float, 16> beta;
};

inline Affine affine_of(const BatchNorm& bn, int first, int block) {
  Affine a{};
  for (int i = 0; i < block; ++i) {
    const auto k = static_cast<std::size_t>(i);
    a.mean[k] = bn.mean[first + i];
    a.scale[k] = bn.gamma[first + i] * bn.invstd[first + i];
    a.beta[k] = bn.beta[first + i];
  }
  return a;
}

/// dx = scale * g + slope * (x - mean) + offset for one channel block.
struct Gradient {
  std::array<float, 16> mean;
  std::array<float, 16> scale;
  std::array<float, 16> slope;
  std::array<float, 16> offset;
};

/// The coefficients of dx, and dgamma and dbeta where `leader`, from sums of g and g (x - mean)
/// over `count` values per channel. All pointers are at the block's first channel.
inline Gradient finish_gradient(const ChannelSums& sums, double count, int block, const float* mean,
                                const float* invstd, const float* gamma, bool leader, float* dgamma,
                                float* dbeta) {
  Gradient g{};
  for (int i = 0; i < block; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double scale = double{gamma[i]} * double{invstd[i]};
    g.mean[k] = mean[i];
    g.scale[k] = static_cast<float>(scale);
    g.slope[k] =
        static_cast<float>(-scale * double{invstd[i]} * double{invstd[i]} * sums.second[k] / count);
    g.offset[k] = static_cast<float>(-scale * sums.first[k] / count);
    if (leader) {
      dgamma[i] = static_cast<float>(double{invstd[i]} * sums.second[k]);
      dbeta[i] = static_cast<float>(sums.first[k]);
    }
  }
  return g;
}

/// body(offset, k) for every pack of channel block cb of the samples in `rows`; k as in sum_rows.
template <int Block, class Body>
inline void for_rows(const Maps& m, int cb, Range rows, const Body& body) {
  constexpr int width = lanes<Block>;
  constexpr int parts = Block / width;
  for (int i = rows.begin; i < rows.end; ++i) {
    std::size_t at = m.offset(i, cb);
    for (int p = 0; p < m.hw; ++p) {
#pragma GCC unroll 2
      for (int k = 0; k < parts; ++k, at += width) body(at, k);
    }
  }
}

template <bool Streamed, int W, class T>
inline void put(const Floats<W>& v, T* p) {
  if constexpr (Streamed) {
    stream<W>(v, p);
  } else {
    store<W>(v, p);
  }
}

}  // namespace affuse::cpu
