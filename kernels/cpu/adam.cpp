// Adam and SWA's mean. Adam reads 16 and writes 12 bytes an element (14 with the bf16 copy), the
// mean 8 and 4: both are bound by memory.
#include "kernels/cpu/adam.h"

namespace affuse::cpu {
namespace {

// Elements below which waking threads costs more than the work.
constexpr std::size_t kSerial = 16384;

}  // namespace

void adam(const AdamBuffers& buffers, std::size_t begin, std::size_t end,
          const math::AdamFactors<float>& factors) {
  const auto [w, g, m, v, copy] = buffers;
  const math::AdamFactors<float> f = factors;
  if (copy != nullptr) {
#pragma omp parallel for simd schedule(static) if (end - begin > kSerial)
    for (std::size_t i = begin; i < end; ++i) {
      math::adam(f, g[i], w[i], m[i], v[i]);
      copy[i] = to_bf16(w[i]);
    }
  } else {
#pragma omp parallel for simd schedule(static) if (end - begin > kSerial)
    for (std::size_t i = begin; i < end; ++i) math::adam(f, g[i], w[i], m[i], v[i]);
  }
}

void average(float* mean, const float* weights, std::size_t begin, std::size_t end,
             std::int64_t count) {
#pragma omp parallel for simd schedule(static) if (end - begin > kSerial)
  for (std::size_t i = begin; i < end; ++i)
    mean[i] = math::running_mean(mean[i], weights[i], count);
}

}  // namespace affuse::cpu
