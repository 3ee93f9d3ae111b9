// The heads' matrix products, vectorised over `in`. Work is small (64 x 512 x 10): the input is
// read once per four outputs, weights stay in cache.
#include "kernels/cpu/linear.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace affuse::cpu {
namespace {

constexpr int width = 8;
constexpr int tile = 4;  // outputs at a time
using Pack = Floats<width>;

std::size_t at(int row, int pitch, int column) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(pitch) +
         static_cast<std::size_t>(column);
}

/// The first `count` lanes at p, 0 in the others.
Pack load_some(const float* p, int count) {
  if (count >= width) return load<width>(p);
  float lane[width] = {};
  std::copy_n(p, count, lane);
  return load<width>(lane);
}

void store_some(const Pack& v, float* p, int count) {
  if (count >= width) return store<width>(v, p);
  float lane[width];
  store<width>(v, lane);
  std::copy_n(lane, count, p);
}

float sum_of(const Pack& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

std::size_t traffic(const LinearShape& s) {
  return sizeof(float) * at(s.n, s.in, 0) * static_cast<std::size_t>((s.out + tile - 1) / tile);
}

void forward_row(const float* x, const float* w, const float* b, const LinearShape& s,
                 Activation activation, float* y) {
  for (int o = 0; o < s.out; o += tile) {
    const int here = std::min(tile, s.out - o);
    Pack sum[tile] = {};
    for (int i = 0; i < s.in; i += width) {
      const Pack v = load_some(x + i, s.in - i);
      for (int t = 0; t < tile; ++t) {  // a short tile repeats its last row
        sum[t] += v * load_some(w + at(std::min(o + t, s.out - 1), s.in, i), s.in - i);
      }
    }
    for (int t = 0; t < here; ++t) {
      const float v = sum_of(sum[t]) + (b != nullptr ? b[o + t] : 0.f);
      y[o + t] = activation == Activation::tanh ? std::tanh(v) : v;
    }
  }
}

/// The gradient before the activation.
float before(const LinearBackward& a, const LinearShape& s, int row, int o) {
  const std::size_t k = at(row, s.out, o);
  return a.activation == Activation::tanh ? a.dy[k] * (1.f - a.y[k] * a.y[k]) : a.dy[k];
}

void input_gradient(const LinearBackward& a, const LinearShape& s, int row) {
  float* dx = a.dx + at(row, s.in, 0);
  for (int o = 0; o < s.out; o += tile) {
    std::array<float, tile> d{};
    const int here = std::min(tile, s.out - o);
    for (int t = 0; t < here; ++t) d[static_cast<std::size_t>(t)] = before(a, s, row, o + t);
    const bool add = o > 0 || a.dx_write == Write::accumulate;
    for (int i = 0; i < s.in; i += width) {
      Pack sum = add ? load_some(dx + i, s.in - i) : Pack{};
      for (int t = 0; t < here; ++t) {
        sum += d[static_cast<std::size_t>(t)] * load_some(a.w + at(o + t, s.in, i), s.in - i);
      }
      store_some(sum, dx + i, s.in - i);
    }
  }
}

/// Rows o..o+tile of dW at columns [first, last), samples in order.
void weight_gradient(const LinearBackward& a, const LinearShape& s, int o, Range columns) {
  constexpr int rows = 64;  // samples whose d is kept on the stack
  const int here = std::min(tile, s.out - o);
  for (int n = 0; n < s.n; n += rows) {
    const int count = std::min(rows, s.n - n);
    std::array<std::array<float, tile>, rows> d{};
    for (int r = 0; r < count; ++r) {
      for (int t = 0; t < here; ++t) {
        d[static_cast<std::size_t>(r)][static_cast<std::size_t>(t)] = before(a, s, n + r, o + t);
      }
    }
    for (int i = columns.begin; i < columns.end; i += width) {
      const int lanes_here = columns.end - i;
      Pack sum[tile] = {};
      for (int r = 0; r < count; ++r) {
        const Pack v = load_some(a.x + at(n + r, s.in, i), lanes_here);
        const auto& dr = d[static_cast<std::size_t>(r)];
        for (int t = 0; t < tile; ++t) sum[t] += dr[static_cast<std::size_t>(t)] * v;
      }
      for (int t = 0; t < here; ++t) {
        float* dw = a.dw + at(o + t, s.in, i);
        store_some(n == 0 ? sum[t] : load_some(dw, lanes_here) + sum[t], dw, lanes_here);
      }
    }
  }
}

void bias_gradient(const LinearBackward& a, const LinearShape& s) {
  for (int o = 0; o < s.out; ++o) {
    double sum = 0;
    for (int n = 0; n < s.n; ++n) sum += double{before(a, s, n, o)};
    a.db[o] = static_cast<float>(sum);
  }
}

}  // namespace

void linear_forward(const float* x, const float* w, const float* b, const LinearShape& s,
                    Activation activation, float* y) {
  parallel_for(s.n, traffic(s), [&](int row) {
    forward_row(x + at(row, s.in, 0), w, b, s, activation, y + at(row, s.out, 0));
  });
}

void linear_backward(const LinearBackward& a, const LinearShape& s) {
  if (a.dx != nullptr) {
    parallel_for(s.n, traffic(s), [&](int row) { input_gradient(a, s, row); });
  }
  constexpr int slice = 64;  // columns of dW in one item
  const int slices = (s.in + slice - 1) / slice;
  const int tiles = (s.out + tile - 1) / tile;
  parallel_for(slices * tiles, traffic(s), [&](int item) {
    const int first = item % slices * slice;
    weight_gradient(a, s, item / slices * tile, {first, std::min(first + slice, s.in)});
  });
  if (a.db != nullptr) bias_gradient(a, s);
}

}  // namespace affuse::cpu
