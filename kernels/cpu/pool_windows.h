// The 3x3 stride-2 windows of one plane, forward and back, shared by max pool and the fused stem.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/maps.h"
#include "kernels/cpu/simd.h"

namespace affuse::cpu {

/// A maximum, per lane, and its place in the window.
template <int W>
struct Best {
  Floats<W> value;
  Ints<W> place;

  Best(const Floats<W>& v, int tap) : value(v), place(Ints<W>{} + tap) {}
  /// Takes `later`, which lies behind in the window, where it is larger or NaN.
  void take(const Best& later) {
    const Ints<W> better = (later.value > value) | (later.value != later.value);
    value = better ? later.value : value;
    place = better ? later.place : place;
  }
};

/// Maximum over one window of a plane: x points to the plane's pack, value(pack) is compared.
template <int Block, class T, class Value>
inline Best<lanes<Block>> window_max(const T* x, PoolMaps s, int oy, int ox, const Value& value) {
  using Max = Best<lanes<Block>>;
  const int y0 = 2 * oy - 1;
  const int x0 = 2 * ox - 1;
  const std::ptrdiff_t pitch = static_cast<std::ptrdiff_t>(s.w) * Block;
  const std::ptrdiff_t corner = y0 * pitch + std::ptrdiff_t{x0} * Block;  // may lie outside
  const auto at = [&](int ky, int kx) {
    return Max(value(load<lanes<Block>>(x + (corner + ky * pitch + kx * Block))), 3 * ky + kx);
  };
  if (y0 >= 0 && x0 >= 0 && y0 + 3 <= s.h && x0 + 3 <= s.w) {
    Max row[3] = {at(0, 0), at(1, 0), at(2, 0)};  // three short chains, not one of nine
#pragma GCC unroll 3
    for (int ky = 0; ky < 3; ++ky) {
      row[ky].take(at(ky, 1));
      row[ky].take(at(ky, 2));
    }
    row[0].take(row[1]);
    row[0].take(row[2]);
    return row[0];
  }
  const int top = std::max(0, -y0);
  const int left = std::max(0, -x0);
  Max best = at(top, left);
  for (int ky = top; ky < std::min(3, s.h - y0); ++ky) {
    for (int kx = left; kx < std::min(3, s.w - x0); ++kx) best.take(at(ky, kx));
  }
  return best;
}

/// What flows back into a window: its gradient and the place that receives it.
template <int W>
struct Flow {
  Floats<W> gradient{};
  Ints<W> place = Ints<W>{} - 1;

  Floats<W> into(int tap) const { return place == tap ? gradient : Floats<W>{}; }
};

/// Gathers the windows' gradients at the pixels of rows 2 r and 2 r + 1 of a plane, pack `part`:
/// flow(window offset) gives a window's Flow, emit(q, pixel offset, gradient) takes a pixel's sum;
/// q = 0..3 is the pixel's place in its 2x2 quad. Offsets are elements from the plane's start.
template <int Block, class GetFlow, class Emit>
inline void gather_rows(const PoolMaps& s, int r, int part, const GetFlow& flow, const Emit& emit) {
  constexpr int width = lanes<Block>;
  const int out_w = s.out_w();
  const bool below = r + 1 < s.out_h();
  const bool second_row = 2 * r + 1 < s.h;
  const auto window = [&](int row, int column) {
    return flow((static_cast<std::size_t>(row) * static_cast<std::size_t>(out_w) +
                 static_cast<std::size_t>(column)) *
                    Block +
                static_cast<std::size_t>(part));
  };
  const auto row_pitch = static_cast<std::size_t>(s.w) * Block;
  std::size_t at = 2 * static_cast<std::size_t>(r) * row_pitch + static_cast<std::size_t>(part);
  Flow<width> a = window(r, 0);
  Flow<width> b = below ? window(r + 1, 0) : Flow<width>{};
  for (int c = 0; c < out_w; ++c, at += 2 * Block) {
    const bool right = c + 1 < out_w;
    const bool second_column = 2 * c + 1 < s.w;
    const Flow<width> next_a = right ? window(r, c + 1) : Flow<width>{};
    const Flow<width> next_b = right && below ? window(r + 1, c + 1) : Flow<width>{};
    emit(0, at, a.into(4));
    if (second_column) emit(1, at + Block, a.into(5) + next_a.into(3));
    if (second_row) emit(2, at + row_pitch, a.into(7) + b.into(1));
    if (second_row && second_column) {
      emit(3, at + row_pitch + Block, (a.into(8) + next_a.into(6)) + (b.into(2) + next_b.into(0)));
    }
    a = next_a;
    b = next_b;
  }
}

}  // namespace affuse::cpu
