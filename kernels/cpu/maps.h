// The shape of channel-blocked activations and how a gradient is written.
#pragma once
#include <cstddef>

namespace affuse::cpu {

/// Activations in oneDNN's nChw8c / nChw16c: memory [n][c / block][hw][block]. c is a multiple of
/// block; channels that only pad are zero. block is 8 or 16.
struct Maps {
  int n;      ///< samples, padding included
  int c;      ///< channels
  int hw;     ///< pixels of one map
  int block;  ///< channels side by side in memory

  int blocks() const { return c / block; }
  /// Elements of one sample's channel block.
  std::size_t plane() const {
    return static_cast<std::size_t>(hw) * static_cast<std::size_t>(block);
  }
  std::size_t size() const {
    return plane() * static_cast<std::size_t>(blocks()) * static_cast<std::size_t>(n);
  }
  /// First element of channel block `cb` of sample `i`.
  std::size_t offset(int i, int cb) const {
    return plane() * (static_cast<std::size_t>(i) * static_cast<std::size_t>(blocks()) +
                      static_cast<std::size_t>(cb));
  }
};

/// The maps around the 3x3, stride 2, pad 1 max pool: h x w in, out_h() x out_w() out.
struct PoolMaps {
  int n, c, h, w, block;

  int out_h() const { return (h - 1) / 2 + 1; }
  int out_w() const { return (w - 1) / 2 + 1; }
  Maps in() const { return {n, c, h * w, block}; }
  Maps out() const { return {n, c, out_h() * out_w(), block}; }
};

/// The first writer of a gradient overwrites, later ones accumulate.
enum class Write { overwrite, accumulate };

/// @throws DeviceError that names `place` unless block is 8 or 16, divides c, and every extent is
/// positive.
void check(const Maps& m, const char* place);
/// The same, and 1 <= valid <= n.
void check(const Maps& m, int valid, const char* place);

}  // namespace affuse::cpu
