// Between LibTorch's tensors and the arrays that the CPU kernels take.
#pragma once
#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "kernels/cpu/convert.h"
#include "tests/parity/torch/compare.h"

namespace affuse::parity {

/// Any tensor as its floats in order.
inline std::vector<float> floats(const Tensor& x) {
  const Tensor flat = x.detach().to(torch::kFloat).contiguous();
  const float* begin = flat.data_ptr<float>();
  return {begin, begin + flat.numel()};
}

inline Tensor tensor(const std::vector<float>& values, torch::IntArrayRef shape) {
  return torch::tensor(values, torch::kFloat).to(torch::kDouble).reshape(shape);
}

inline cpu::Maps maps_of(torch::IntArrayRef shape, int block) {
  return {static_cast<int>(shape[0]), static_cast<int>(shape[1]),
          static_cast<int>(shape[2] * shape[3]), block};
}

template <class T>
std::vector<T> converted(const std::vector<float>& from) {
  std::vector<T> to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) from_float(from[i], to[i]);
  return to;
}

template <class T>
std::vector<float> widened(const std::vector<T>& from) {
  std::vector<float> to(from.size());
  std::transform(from.begin(), from.end(), to.begin(), [](T x) { return to_float(x); });
  return to;
}

/// [n, c, h, w] as activations are stored: channel-blocked, or plain where blocks do not fit.
template <class T>
std::vector<T> to_maps(const Tensor& x, int block) {
  const std::vector<float> plain = floats(x);
  const cpu::Maps m = maps_of(x.sizes(), block);
  if (m.c % block != 0) return converted<T>(plain);
  std::vector<T> out(m.size());
  cpu::to_blocked(plain.data(), m.c, m, out.data());
  return out;
}

template <class T>
Tensor from_maps(const std::vector<T>& stored_maps, torch::IntArrayRef shape, int block) {
  const cpu::Maps m = maps_of(shape, block);
  if (m.c % block != 0) return tensor(widened(stored_maps), shape);
  std::vector<float> plain(m.size());
  cpu::from_blocked(stored_maps.data(), m.c, m, plain.data());
  return tensor(plain, shape);
}

template <class T>
constexpr DType type_of = std::is_same_v<T, Bf16> ? DType::bf16 : DType::f32;

/// Normal numbers as T stores them.
template <class T>
Tensor draw(torch::IntArrayRef shape, double scale = 1, double shift = 0) {
  return stored(scale * torch::randn(shape, torch::kDouble) + shift, type_of<T>);
}

/// Maps of the network at several sizes and odd ones; rows from `valid` on only pad.
struct MapsCase {
  int n, c, h, w, valid;

  std::vector<std::int64_t> in() const { return {n, c, h, w}; }
  std::vector<std::int64_t> pooled() const { return {n, c, (h - 1) / 2 + 1, (w - 1) / 2 + 1}; }
  std::string text() const { return fmt::format("{}x{}x{}x{}, {} valid", n, c, h, w, valid); }
};
inline constexpr MapsCase kMaps[] = {{4, 64, 32, 32, 4},  {4, 64, 16, 16, 3}, {8, 32, 8, 8, 5},
                                     {16, 512, 2, 2, 11}, {5, 128, 7, 7, 5},  {3, 16, 9, 13, 2},
                                     {5, 24, 1, 1, 4},    {1, 16, 5, 3, 1},   {1, 64, 112, 112, 1}};

/// The worst figures of an operation: on stored maps, and on fp32 numbers a channel.
struct Worst {
  Closeness maps, sums;
  Worst(const std::string& operation, DType type)
      : maps(fmt::format("{} {}", operation, name_of(type)),
             type == DType::bf16 ? 1.0 / 256 : 3e-6),
        sums(fmt::format("{} {} channel sums", operation, name_of(type)), 5e-6) {}
};

}  // namespace affuse::parity
