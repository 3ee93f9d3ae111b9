// Batch norm backward: g = dy masked by ReLU; dx = scale g + slope (x - mean) + offset.
// Bytes per element: the sums read dy, x, y; the pass reads them again (from cache), writes dx
// (and d_residual).
#include "kernels/cpu/norm.h"
#include "kernels/cpu/norm_parts.h"

namespace affuse::cpu {
namespace {

/// What becomes of the residual's gradient.
enum class Fork { none, overwrite, accumulate };

template <class T>
Fork fork_of(const BnBackward<T>& a) {
  if (a.d_residual == nullptr) return Fork::none;
  return a.residual_write == Write::overwrite ? Fork::overwrite : Fork::accumulate;
}

template <bool Relu, int W, class T>
inline Floats<W> masked(const BnBackward<T>& a, std::size_t at) {
  const Floats<W> dy = load<W>(a.dy + at);
  if constexpr (Relu) return relu_gradient<W>(load<W>(a.y + at), dy);
  return dy;
}

template <int Block, bool Relu, class T>
void sum_gradient(const BnBackward<T>& a, const Maps& m, int cb, Range rows, ChannelSums& sums) {
  constexpr int width = lanes<Block>;
  std::array<float, 16> means{};
  std::copy_n(a.mean + cb * Block, Block, means.data());
  const BlockPacks<Block> mean(means);
  sum_rows<Block>(m, cb, rows, sums, [&](std::size_t at, int k, auto& sum, auto& dot) {
    const Floats<width> g = masked<Relu, width>(a, at);
    sum += g;
    dot += g * (load<width>(a.x + at) - mean[k]);
  });
}

template <int Block, bool Relu, Fork To, bool Streamed, class T>
void write_gradient(const BnBackward<T>& a, const Maps& m, int cb, Range rows, const Gradient& d) {
  constexpr int width = lanes<Block>;
  const BlockPacks<Block> mean(d.mean), scale(d.scale), slope(d.slope), offset(d.offset);
  for_rows<Block>(m, cb, rows, [&](std::size_t at, int k) {
    Floats<width> g = masked<Relu, width>(a, at);
    const Floats<width> dx =
        scale[k] * g + (slope[k] * (load<width>(a.x + at) - mean[k]) + offset[k]);
    if constexpr (To == Fork::accumulate) g += load<width>(a.d_residual + at);
    if constexpr (To != Fork::none) store<width>(g, a.d_residual + at);
    put<Streamed, width>(dx, a.dx + at);
  });
  if constexpr (Streamed) stream_fence();
}

/// Samples that only pad get no gradient.
template <class T>
void clear_padding(const BnBackward<T>& a, const Maps& m, int cb, Range rows) {
  for (int i = rows.begin; i < rows.end; ++i) {
    std::fill_n(a.dx + m.offset(i, cb), m.plane(), T{});
    if (fork_of(a) == Fork::overwrite) std::fill_n(a.d_residual + m.offset(i, cb), m.plane(), T{});
  }
}

/// The two passes of one kind of unit.
template <class T>
struct Passes {
  void (*sum)(const BnBackward<T>&, const Maps&, int cb, Range, ChannelSums&);
  void (*write)(const BnBackward<T>&, const Maps&, int cb, Range, const Gradient&);
};

template <int Block, class T>
Passes<T> passes_of(const BnBackward<T>& a, const Maps& m) {
  const bool streamed = a.dx != a.dy && a.dx != a.x && should_stream(a.dx, m.size() * sizeof(T));
  Passes<T> p{};
  with_flag(a.y != nullptr, [&](auto relu) {
    p.sum = sum_gradient<Block, relu(), T>;
    with_flag(streamed, [&](auto stream_flag) {
      switch (fork_of(a)) {
        case Fork::none:
          p.write = write_gradient<Block, relu(), Fork::none, stream_flag(), T>;
          break;
        case Fork::overwrite:
          p.write = write_gradient<Block, relu(), Fork::overwrite, stream_flag(), T>;
          break;
        case Fork::accumulate:
          p.write = write_gradient<Block, relu(), Fork::accumulate, stream_flag(), T>;
          break;
      }
    });
  });
  return p;
}

}  // namespace

template <class T>
void bn_backward(const BnBackward<T>& a, const Maps& m, int valid) {
  check(m, valid, "batch norm backward");
  const Slabs slabs(m);
  const double count = static_cast<double>(valid) * m.hw;
  const std::size_t streams = a.y != nullptr ? 3 : 2;
  with_block(m.block, [&]<int Block>() {
    const Passes<T> passes = passes_of<Block>(a, m);
    reduce_then_apply(
        m, streams * m.plane() * static_cast<std::size_t>(m.n) * sizeof(T),
        [&](int cb, int s, ChannelSums& sums) {
          passes.sum(a, m, cb, slabs.range(s, valid), sums);
        },
        [&](int cb, const ChannelSums& sums, bool leader) {
          const int c = cb * Block;
          return finish_gradient(sums, count, Block, a.mean + c, a.invstd + c, a.gamma + c, leader,
                                 a.dgamma + c, a.dbeta + c);
        },
        [&](int cb, int s, const Gradient& d) {
          const Range real = slabs.range(s, valid);
          passes.write(a, m, cb, real, d);
          const Range all = slabs.range(s, m.n);
          clear_padding(a, m, cb, {std::max(real.end, all.begin), all.end});
        });
  });
}

template void bn_backward(const BnBackward<float>&, const Maps&, int);
template void bn_backward(const BnBackward<Bf16>&, const Maps&, int);

}  // namespace affuse::cpu
