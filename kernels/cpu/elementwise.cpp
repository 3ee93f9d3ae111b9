// y += x (+ ReLU). Reads 2 elements, writes 1: memory-bound.
#include "kernels/cpu/elementwise.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace affuse::cpu {
namespace {

constexpr std::size_t kChunk = 16384;

// f(begin, end) over chunks of [0, count).
template <class F>
void chunks(std::size_t count, std::size_t bytes_each, F&& f) {
  const auto pieces = static_cast<int>((count + kChunk - 1) / kChunk);
  parallel_for(pieces, count * bytes_each, [&](int i) {
    const std::size_t begin = static_cast<std::size_t>(i) * kChunk;
    f(begin, std::min(count, begin + kChunk));
  });
}

}  // namespace

template <class T>
void add(const float* x, T* y, std::size_t count) {
  chunks(count, sizeof(float) + 2 * sizeof(T), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) from_float(x[i] + to_float(y[i]), y[i]);
  });
}

template <class T>
void add_relu(const T* x, T* y, std::size_t count, bool relu) {
  chunks(count, 3 * sizeof(T), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const float sum = to_float(x[i]) + to_float(y[i]);
      from_float(relu && sum < 0 ? 0.f : sum, y[i]);
    }
  });
}

template void add(const float*, float*, std::size_t);
template void add(const float*, Bf16*, std::size_t);
template void add_relu(const float*, float*, std::size_t, bool);
template void add_relu(const Bf16*, Bf16*, std::size_t, bool);

}  // namespace affuse::cpu
