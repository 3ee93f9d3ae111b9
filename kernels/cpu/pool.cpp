// Max pool and global average pool. Bytes per input element: forward reads it once (rows shared
// by two windows come from cache), backward writes it once and reads 1/4 of dy and index.
#include "kernels/cpu/pool.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pool_windows.h"

namespace affuse::cpu {
namespace {

// Shapes by value: a store of bytes could change one behind a reference.
template <int Block, class T>
void pool_plane(const T* x, PoolMaps s, T* y, std::uint8_t* index) {
  constexpr int width = lanes<Block>;
  std::size_t at = 0;
  for (int oy = 0; oy < s.out_h(); ++oy) {
    for (int ox = 0; ox < s.out_w(); ++ox) {
      for (int part = 0; part < Block; part += width, at += width) {
        const auto best =
            window_max<Block>(x + part, s, oy, ox, [](const Floats<width>& v) { return v; });
        store<width>(best.value, y + at);
        store_index<width>(best.place, index + at);
      }
    }
  }
}

template <int Block, class T>
void unpool_plane(const T* dy, const std::uint8_t* index, PoolMaps s, T* dx) {
  constexpr int width = lanes<Block>;
  for (int r = 0; r < s.out_h(); ++r) {
    for (int part = 0; part < Block; part += width) {
      gather_rows<Block>(
          s, r, part,
          [&](std::size_t at) {
            return Flow<width>{load<width>(dy + at), load_index<width>(index + at)};
          },
          [&](int, std::size_t at, const Floats<width>& g) { store<width>(g, dx + at); });
    }
  }
}

/// f(i, c, offset): every sample's channel block, its first channel, its first element.
template <class F>
void for_planes(const Maps& m, std::size_t bytes, const F& f) {
  parallel_for(m.n * m.blocks(), bytes, [&](int i) {
    const int cb = i % m.blocks();
    f(i / m.blocks(), cb * m.block, m.offset(i / m.blocks(), cb));
  });
}

}  // namespace

template <class T>
void max_pool_forward(const T* x, const PoolMaps& s, T* y, std::uint8_t* index) {
  check(s.in(), "max pool");
  const Maps in = s.in(), out = s.out();
  with_block(s.block, [&]<int Block>() {
    parallel_for(s.n * in.blocks(), in.size() * sizeof(T), [&](int i) {
      const auto plane = static_cast<std::size_t>(i);
      pool_plane<Block>(x + plane * in.plane(), s, y + plane * out.plane(),
                        index + plane * out.plane());
    });
  });
}

template <class T>
void max_pool_backward(const T* dy, const std::uint8_t* index, const PoolMaps& s, T* dx) {
  check(s.in(), "max pool backward");
  const Maps in = s.in(), out = s.out();
  with_block(s.block, [&]<int Block>() {
    parallel_for(s.n * in.blocks(), in.size() * sizeof(T), [&](int i) {
      const auto plane = static_cast<std::size_t>(i);
      unpool_plane<Block>(dy + plane * out.plane(), index + plane * out.plane(), s,
                          dx + plane * in.plane());
    });
  });
}

template <class T>
void average_pool_forward(const T* x, const Maps& m, float* y) {
  check(m, "average pool");
  const float count = static_cast<float>(m.hw);
  with_block(m.block, [&]<int Block>() {
    constexpr int width = lanes<Block>;
    for_planes(m, m.size() * sizeof(T), [&](int sample, int c, std::size_t at) {
      float* to = y + static_cast<std::size_t>(sample) * static_cast<std::size_t>(m.c) + c;
      for (int part = 0; part < Block; part += width) {
        Floats<width> sum{};
        for (int p = 0; p < m.hw; ++p) {
          sum += load<width>(x + at + static_cast<std::size_t>(p) * Block + part);
        }
        store<width>(sum / count, to + part);
      }
    });
  });
}

template <class T>
void average_pool_backward(const float* dy, const Maps& m, T* dx) {
  check(m, "average pool backward");
  const float count = static_cast<float>(m.hw);
  with_block(m.block, [&]<int Block>() {
    constexpr int width = lanes<Block>;
    for_planes(m, m.size() * sizeof(T), [&](int sample, int c, std::size_t at) {
      const float* from = dy + static_cast<std::size_t>(sample) * static_cast<std::size_t>(m.c) + c;
      for (int part = 0; part < Block; part += width) {
        const Floats<width> share = load<width>(from + part) / count;
        for (int p = 0; p < m.hw; ++p) {
          store<width>(share, dx + at + static_cast<std::size_t>(p) * Block + part);
        }
      }
    });
  });
}

template void max_pool_forward(const float*, const PoolMaps&, float*, std::uint8_t*);
template void max_pool_forward(const Bf16*, const PoolMaps&, Bf16*, std::uint8_t*);
template void max_pool_backward(const float*, const std::uint8_t*, const PoolMaps&, float*);
template void max_pool_backward(const Bf16*, const std::uint8_t*, const PoolMaps&, Bf16*);
template void average_pool_forward(const float*, const Maps&, float*);
template void average_pool_forward(const Bf16*, const Maps&, float*);
template void average_pool_backward(const float*, const Maps&, float*);
template void average_pool_backward(const float*, const Maps&, Bf16*);

}  // namespace affuse::cpu
