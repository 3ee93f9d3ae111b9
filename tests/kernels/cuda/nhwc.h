// NHWC test tensors on exact-size buffers of the device, random and readable by (sample, pixel,
// channel).
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/dtype.h"
#include "kernels/cuda/maps.h"
#include "tests/kernels/cuda/memory.h"
#include "tests/kernels/cuda/orders.h"

namespace affuse::nhwc {

using AFFUSE_CUDA_NAMESPACE::Maps;
using Floats = DeviceVector<float>;

template <class T>
struct Tensor {
  Maps m;
  DeviceVector<T> data;

  explicit Tensor(const Maps& maps) : m(maps), data(maps.size()) {}
  T* ptr() { return data.data(); }
  std::size_t place(int n, int p, int c) const {
    return (static_cast<std::size_t>(n) * static_cast<std::size_t>(m.hw) +
            static_cast<std::size_t>(p)) *
               static_cast<std::size_t>(m.c) +
           static_cast<std::size_t>(c);
  }
  double operator()(int n, int p, int c) const {
    return static_cast<double>(to_float(data[place(n, p, c)]));
  }
  void set(int n, int p, int c, float v) { from_float(v, data[place(n, p, c)]); }
  /// Samples from `valid` on become NaN: nothing may read them.
  void spoil_padding(int valid) {
    for (std::size_t i = place(valid, 0, 0); i < data.size(); ++i) from_float(NAN, data[i]);
  }
};

template <class T>
Tensor<T> random(const Maps& m, unsigned seed, float spread = 1, float centre = 0) {
  Tensor<T> t(m);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(centre, spread);
  for (T& x : t.data) from_float(normal(engine), x);
  return t;
}

inline Floats random_floats(int count, unsigned seed, float low, float high) {
  Floats v(static_cast<std::size_t>(count));
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  for (float& x : v) x = uniform(engine);
  return v;
}

template <class Vector>
bool same_bits(const Vector& a, const Vector& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0);
}

/// Half a unit in the last place of storage, relative; fp32 gets room for the arithmetic too.
template <class T>
constexpr double rounding = 2e-6;
template <>
inline constexpr double rounding<Half> = 0x1p-11;
template <>
inline constexpr double rounding<Bf16> = 0x1p-8;

/// The largest error seen; its name and figure stand in the test's XML report. NaN is the worst.
class Worst {
 public:
  explicit Worst(std::string name) : name_(std::move(name)) {}
  Worst(const Worst&) = delete;
  Worst& operator=(const Worst&) = delete;
  ~Worst() { testing::Test::RecordProperty(name_, std::to_string(error_ * 1e6) + " ppm"); }

  /// @param scale what the error is relative to
  void see(double got, double want, double scale) {
    const double error = std::abs(got - want) / scale;
    if (!(error <= error_)) error_ = std::isnan(error) ? INFINITY : error;
  }
  double error() const { return error_; }

 private:
  std::string name_;
  double error_ = 0;
};

/// Odd sizes of everything: one value, tails of every loop, more octets than a block is wide and
/// not a multiple of that.
inline const std::vector<Maps> odd_maps = {{1, 1, 16}, {3, 9, 24},   {2, 4, 512},  {5, 49, 72},
                                           {3, 63, 8}, {3, 700, 16}, {4, 1, 1024}, {2, 49, 264}};

}  // namespace affuse::nhwc
