// Adam and SWA's mean. Adam reads 16 and writes 12 bytes an element (14 with the bf16 copy), the
// mean 8 and 4: both are bound by memory.
#include "kernels/cpu/adam.h"

#include "kernels/cpu/parallel.h"

namespace affuse::cpu {
namespace {

// f(first, last) over the shares of [begin, end). Every element stands alone, so the shares may
// depend on the number of threads.
template <class F>
void shares(std::size_t begin, std::size_t end, std::size_t bytes_each, F f) {
  const std::size_t count = end - begin;
  parallel(count * bytes_each >= wide_bytes, [&](Team team) {
    const auto rank = static_cast<std::size_t>(team.rank),
               size = static_cast<std::size_t>(team.size);
    f(begin + count * rank / size, begin + count * (rank + 1) / size);
  });
}

}  // namespace

void adam(const AdamBuffers& buffers, std::size_t begin, std::size_t end,
          const math::AdamFactors<float>& factors) {
  shares(begin, end, 28, [&](std::size_t first, std::size_t last) {
    float* const w = buffers.weights;
    const float* const g = buffers.gradient;
    float *const m = buffers.m, *const v = buffers.v;
    Bf16* const copy = buffers.copy;
    const math::AdamFactors<float> f = factors;
    // NOLINTNEXTLINE(bugprone-branch-clone): it does not look into OpenMP loops
    if (copy != nullptr) {
#pragma omp simd
      for (std::size_t i = first; i < last; ++i) {
        math::adam(f, g[i], w[i], m[i], v[i]);
        copy[i] = to_bf16(w[i]);
      }
    } else {
#pragma omp simd
      for (std::size_t i = first; i < last; ++i) math::adam(f, g[i], w[i], m[i], v[i]);
    }
  });
}

void average(float* mean, const float* weights, std::size_t begin, std::size_t end,
             std::int64_t count) {
  shares(begin, end, 12, [&](std::size_t first, std::size_t last) {
#pragma omp simd
    for (std::size_t i = first; i < last; ++i)
      mean[i] = math::running_mean(mean[i], weights[i], count);
  });
}

}  // namespace affuse::cpu
