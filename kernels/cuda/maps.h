// Activations on the GPU: NHWC, memory [n][h][w][c], so that 16 bytes hold channels of one pixel.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/step_state.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// c is a multiple of 8; activations are 16-byte aligned.
struct Maps {
  int n;   ///< samples, padding included
  int hw;  ///< pixels of one map
  int c;   ///< channels

  std::size_t size() const {
    return static_cast<std::size_t>(n) * static_cast<std::size_t>(hw) * static_cast<std::size_t>(c);
  }
};

/// The maps around the 3x3, stride 2, pad 1 max pool: h x w in, out_h() x out_w() out.
struct PoolMaps {
  int n, c, h, w;

  constexpr int out_h() const { return (h - 1) / 2 + 1; }
  constexpr int out_w() const { return (w - 1) / 2 + 1; }
  Maps in() const { return {n, h * w, c}; }
  Maps out() const { return {n, out_h() * out_w(), c}; }
};

/// Bytes of a bitmask over `m`: bit k of byte b belongs to element 8 b + k.
inline std::size_t mask_bytes(const Maps& m) { return m.size() / 8; }

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
