// Batch norm + ReLU + max pool of the stem. Forward reads x twice (the second time from cache if a
// channel block fits) and writes 1/4; backward reads x twice and writes dx, all else is quarter
// size.
#include "kernels/cpu/stem.h"

#include "kernels/cpu/norm_parts.h"
#include "kernels/cpu/pool_windows.h"

namespace affuse::cpu {
namespace {

template <int Block, class T>
void pool_rows(const T* x, PoolMaps s, int cb, Range rows, const Affine& affine, T* y,
               std::uint8_t* index) {
  constexpr int width = lanes<Block>;
  const BlockPacks<Block> means(affine.mean), scales(affine.scale), betas(affine.beta);
  const Maps in = s.in(), out = s.out();
  for (int i = rows.begin; i < rows.end; ++i) {
    const T* plane = x + in.offset(i, cb);
    std::size_t at = out.offset(i, cb);
    for (int oy = 0; oy < s.out_h(); ++oy) {
      for (int ox = 0; ox < s.out_w(); ++ox) {
        for (int k = 0; k < Block / width; ++k, at += width) {
          const Floats<width> mean = means[k], scale = scales[k], beta = betas[k];
          const auto best =
              window_max<Block>(plane + k * width, s, oy, ox,
                                [&](const Floats<width>& v) { return (v - mean) * scale + beta; });
          store<width>(relu<width>(best.value), y + at);
          store_index<width>(best.place, index + at);
        }
      }
    }
  }
}

/// f(q, k, pixel offset, gradient) for each pixel of the samples in `rows`, after(): end of a row.
template <int Block, class T, class F, class After>
void for_gradients(StemBackward<T> a, PoolMaps s, int cb, Range rows, const F& f,
                   const After& after) {
  constexpr int width = lanes<Block>;
  const Maps in = s.in(), out = s.out();
  for (int i = rows.begin; i < rows.end; ++i) {
    const std::size_t pixel = in.offset(i, cb);
    const std::size_t window = out.offset(i, cb);
    for (int r = 0; r < s.out_h(); ++r) {
      for (int k = 0; k < Block / width; ++k) {
        gather_rows<Block>(
            s, r, k * width,
            [&](std::size_t at) {
              return Flow<width>{relu_gradient<width>(load<width>(a.y + window + at),
                                                      load<width>(a.dy + window + at)),
                                 load_index<width>(a.index + window + at)};
            },
            [&](int q, std::size_t at, const Floats<width>& g) { f(q, k, pixel + at, g); });
        after(k);
      }
    }
  }
}

template <int Block, class T>
void sum_gradient(const StemBackward<T>& a, const PoolMaps& s, int cb, Range rows,
                  ChannelSums& sums) {
  constexpr int width = lanes<Block>;
  std::array<float, 16> means{};
  std::copy_n(a.mean + cb * Block, Block, means.data());
  const BlockPacks<Block> mean(means);
  Floats<width> sum[4] = {};
  Floats<width> dot[4] = {};
  for_gradients<Block>(
      a, s, cb, rows,
      [&](int q, int k, std::size_t at, const Floats<width>& g) {
        sum[q] += g;
        dot[q] += g * (load<width>(a.x + at) - mean[k]);
      },
      [&](int k) {
        for (int q = 0; q < 4; ++q) {
          flush<width>(sum[q], &sums.first[static_cast<std::size_t>(k * width)]);
          flush<width>(dot[q], &sums.second[static_cast<std::size_t>(k * width)]);
        }
      });
}

template <int Block, bool Streamed, class T>
void write_gradient(const StemBackward<T>& a, const PoolMaps& s, int cb, Range rows,
                    const Gradient& d) {
  constexpr int width = lanes<Block>;
  const BlockPacks<Block> mean(d.mean), scale(d.scale), slope(d.slope), offset(d.offset);
  for_gradients<Block>(
      a, s, cb, rows,
      [&](int, int k, std::size_t at, const Floats<width>& g) {
        const Floats<width> dx =
            scale[k] * g + (slope[k] * (load<width>(a.x + at) - mean[k]) + offset[k]);
        put<Streamed, width>(dx, a.dx + at);
      },
      [](int) {});
  if constexpr (Streamed) stream_fence();
}

std::size_t block_bytes(const Maps& m, std::size_t element) {
  return m.plane() * static_cast<std::size_t>(m.n) * element;
}

}  // namespace

template <class T>
void stem_apply(const T* x, const PoolMaps& s, const BatchNorm& bn, T* y, std::uint8_t* index) {
  check(s.in(), "stem");
  const Maps in = s.in();
  with_block(s.block, [&]<int Block>() {
    parallel_for(s.n * in.blocks(), in.size() * sizeof(T), [&](int i) {
      const int cb = i % in.blocks();
      const int sample = i / in.blocks();
      pool_rows<Block>(x, s, cb, {sample, sample + 1}, affine_of(bn, cb * Block, Block), y, index);
    });
  });
}

template <class T>
void stem_forward(const StemForward<T>& a, const PoolMaps& s, int valid) {
  const Maps in = s.in();
  check(in, valid, "stem");
  const Slabs slabs(in);
  const double count = static_cast<double>(valid) * in.hw;
  with_block(s.block, [&]<int Block>() {
    reduce_then_apply(
        in, block_bytes(in, sizeof(T)),
        [&](int cb, int slab, ChannelSums& sums) {
          sum_moments<Block>(a.x, in, cb, slabs.range(slab, valid), valid, sums);
        },
        [&](int cb, const ChannelSums& sums, bool leader) {
          const Statistics found = statistics_of<Block>(a.x, in, cb, valid, sums, count, a.eps);
          const int c = cb * Block;
          if (leader) found.write(Block, a.mean + c, a.var + c, a.invstd + c);
          return affine_of({found.mean.data(), found.invstd.data(), a.gamma + c, a.beta + c}, 0,
                           Block);
        },
        [&](int cb, int slab, const Affine& affine) {
          pool_rows<Block>(a.x, s, cb, slabs.range(slab, s.n), affine, a.y, a.index);
        });
  });
}

template <class T>
void stem_backward(const StemBackward<T>& a, const PoolMaps& s, int valid) {
  const Maps in = s.in();
  check(in, valid, "stem backward");
  const Slabs slabs(in);
  const double count = static_cast<double>(valid) * in.hw;
  with_block(s.block, [&]<int Block>() {
    // A block of two packs is gathered a pack at a time: half-written lines must not be streamed.
    const bool streamed =
        Block == lanes<Block> && a.dx != a.x && should_stream(a.dx, in.size() * sizeof(T));
    const auto write = streamed ? write_gradient<Block, true, T> : write_gradient<Block, false, T>;
    reduce_then_apply(
        in, block_bytes(in, sizeof(T)),
        [&](int cb, int slab, ChannelSums& sums) {
          sum_gradient<Block>(a, s, cb, slabs.range(slab, valid), sums);
        },
        [&](int cb, const ChannelSums& sums, bool leader) {
          const int c = cb * Block;
          return finish_gradient(sums, count, Block, a.mean + c, a.invstd + c, a.gamma + c, leader,
                                 a.dgamma + c, a.dbeta + c);
        },
        [&](int cb, int slab, const Gradient& d) {
          const Range real = slabs.range(slab, valid);
          write(a, s, cb, real, d);
          const Range all = slabs.range(slab, s.n);
          for (int i = std::max(real.end, all.begin); i < all.end; ++i) {
            std::fill_n(a.dx + in.offset(i, cb), in.plane(), T{});
          }
        });
  });
}

template void stem_apply(const float*, const PoolMaps&, const BatchNorm&, float*, std::uint8_t*);
template void stem_apply(const Bf16*, const PoolMaps&, const BatchNorm&, Bf16*, std::uint8_t*);
template void stem_forward(const StemForward<float>&, const PoolMaps&, int);
template void stem_forward(const StemForward<Bf16>&, const PoolMaps&, int);
template void stem_backward(const StemBackward<float>&, const PoolMaps&, int);
template void stem_backward(const StemBackward<Bf16>&, const PoolMaps&, int);

}  // namespace affuse::cpu
