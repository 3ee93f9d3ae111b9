// Adam, AdamW and SWA's running mean over ranges of flat buffers.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/dtype.h"
#include "kernels/math/adam.h"

namespace affuse::cpu {

/// Flat fp32 buffers of one parameter store, one element a parameter.
struct AdamBuffers {
  float* weights;
  const float* gradient;
  float* m;              ///< first moment
  float* v;              ///< second moment
  Bf16* copy = nullptr;  ///< the updated weights rounded to bf16, or null
};

/// One step, in place, on elements [begin, end). Factors with weight decay or without it come from
/// math::adam_factors: one call a range.
void adam(const AdamBuffers& buffers, std::size_t begin, std::size_t end,
          const math::AdamFactors<float>& factors);

/// mean = the mean of count + 1 weights, on [begin, end), where it was that of `count`.
void average(float* mean, const float* weights, std::size_t begin, std::size_t end,
             std::int64_t count);

}  // namespace affuse::cpu
