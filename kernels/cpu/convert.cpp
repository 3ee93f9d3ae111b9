// Conversions at the doors. Each reads its source and writes its result once.
#include "kernels/cpu/convert.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace affuse::cpu {
namespace {

template <class From, class To>
void convert_array(const From* from, To* to, std::size_t count) {
  constexpr std::size_t chunk = 16384;
  constexpr int width = 8;
  const int chunks = static_cast<int>((count + chunk - 1) / chunk);
  parallel_for(chunks, count * (sizeof(From) + sizeof(To)), [&](int c) {
    std::size_t i = static_cast<std::size_t>(c) * chunk;
    const std::size_t end = std::min(i + chunk, count);
    for (; i + width <= end; i += width) store<width>(load<width>(from + i), to + i);
    for (; i < end; ++i) from_float(to_float(from[i]), to[i]);
  });
}

void check_channels(int channels, const Maps& m, const char* place) {
  check(m, place);
  if (channels < 1 || channels > m.c) {
    throw DeviceError(fmt::format("{}: {} channels do not fit maps of {}", place, channels, m.c));
  }
}

/// f(plain offset, blocked offset, real channels of the block) for each sample's channel block.
template <class F>
void for_blocks(int channels, const Maps& m, const F& f) {
  parallel_for(m.n * m.blocks(), m.size() * sizeof(float), [&](int i) {
    const int sample = i / m.blocks();
    const int cb = i % m.blocks();
    const int first = cb * m.block;
    const std::size_t plain =
        (static_cast<std::size_t>(sample) * static_cast<std::size_t>(channels) +
         static_cast<std::size_t>(first)) *
        static_cast<std::size_t>(m.hw);
    f(plain, m.offset(sample, cb), std::clamp(channels - first, 0, m.block));
  });
}

}  // namespace

void convert(const float* from, Bf16* to, std::size_t count) { convert_array(from, to, count); }
void convert(const Bf16* from, float* to, std::size_t count) { convert_array(from, to, count); }

template <class T>
void to_blocked(const float* plain, int channels, const Maps& m, T* blocked) {
  check_channels(channels, m, "to blocked maps");
  for_blocks(channels, m, [&](std::size_t from, std::size_t to, int real) {
    for (int p = 0; p < m.hw; ++p) {
      for (int b = 0; b < m.block; ++b) {
        const std::size_t source = from +
                                   static_cast<std::size_t>(b) * static_cast<std::size_t>(m.hw) +
                                   static_cast<std::size_t>(p);
        from_float(b < real ? plain[source] : 0.f, blocked[to++]);
      }
    }
  });
}

template <class T>
void from_blocked(const T* blocked, int channels, const Maps& m, float* plain) {
  check_channels(channels, m, "from blocked maps");
  for_blocks(channels, m, [&](std::size_t to, std::size_t from, int real) {
    for (int b = 0; b < real; ++b) {
      for (int p = 0; p < m.hw; ++p) {
        plain[to++] = to_float(blocked[from + static_cast<std::size_t>(p * m.block + b)]);
      }
    }
  });
}

template <class T>
void zero_rows(T* rows, std::size_t width, int first, int last) {
  if (first >= last) return;
  std::fill_n(rows + static_cast<std::size_t>(first) * width,
              static_cast<std::size_t>(last - first) * width, T{});
}

template void to_blocked(const float*, int, const Maps&, float*);
template void to_blocked(const float*, int, const Maps&, Bf16*);
template void from_blocked(const float*, int, const Maps&, float*);
template void from_blocked(const Bf16*, int, const Maps&, float*);
template void zero_rows(float*, std::size_t, int, int);
template void zero_rows(Bf16*, std::size_t, int, int);

}  // namespace affuse::cpu
