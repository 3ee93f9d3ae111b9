// Channel-blocked test tensors, random and readable by (sample, channel, pixel).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "engine/dtype.h"
#include "gtest/gtest.h"
#include "kernels/cpu/maps.h"
#include "kernels/cpu/parallel.h"

namespace affuse::blocked {

template <class T>
struct Tensor {
  cpu::Maps m;
  std::vector<T> data;

  explicit Tensor(const cpu::Maps& maps) : m(maps), data(maps.size()) {}
  T* ptr() { return data.data(); }
  const T* ptr() const { return data.data(); }
  std::size_t place(int n, int c, int p) const {
    return m.offset(n, c / m.block) + static_cast<std::size_t>(p * m.block + c % m.block);
  }
  void set(int n, int c, int p, float v) { from_float(v, data[place(n, c, p)]); }
  double operator()(int n, int c, int p) const {
    return static_cast<double>(to_float(data[place(n, c, p)]));
  }
};

/// A near-normal number: the sum of a hash's four 16-bit parts.
inline float bell(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = (seed << 40) + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  const std::uint64_t sum = (z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48);
  return (static_cast<float>(sum) / 65536.f - 2.f) * 1.7320508f;
}

template <class T>
Tensor<T> random(const cpu::Maps& m, unsigned seed, float spread = 1, float centre = 0) {
  Tensor<T> t(m);
  for (std::size_t i = 0; i < t.data.size(); ++i) {
    from_float(centre + spread * bell(seed, i), t.data[i]);
  }
  return t;
}

inline std::vector<float> random_vector(std::size_t n, unsigned seed, float low, float high) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> v(n);
  for (float& x : v) x = uniform(engine);
  return v;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Half a unit in the last place of storage, relative; fp32 gets room for the arithmetic too.
template <class T>
constexpr double rounding = 4e-6;
template <>
inline constexpr double rounding<Bf16> = 1.0 / 256;

/// Sets the thread count for a scope.
class Threads {
 public:
  explicit Threads(int n) : before_(cpu::max_threads()) { cpu::set_threads(n); }
  ~Threads() { cpu::set_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// An array on a cache line's boundary, as the arena gives: only there results are streamed.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t n) : room_(n + 64) {
    void* p = room_.data();
    std::size_t space = room_.size() * sizeof(T);
    data_ = static_cast<T*>(std::align(64, n * sizeof(T), p, space));
    for (std::size_t i = 0; i < n; ++i) {
      if (i < 4099) {
        from_float(bell(9, i), data_[i]);
      } else {
        data_[i] = data_[i - 4099];
      }
    }
  }
  T* ptr() { return data_; }

 private:
  std::vector<T> room_;
  T* data_;
};

/// Odd sizes of everything: one pixel, tails of every unroll, padded batches.
inline const std::vector<cpu::Maps> odd_maps = {{1, 8, 1, 8},   {3, 8, 9, 8},    {2, 16, 4, 8},
                                                {3, 16, 63, 8}, {1, 16, 1, 16},  {3, 48, 9, 16},
                                                {5, 48, 49, 8}, {3, 16, 63, 16}, {2, 16, 1500, 16}};

}  // namespace affuse::blocked
