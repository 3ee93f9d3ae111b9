// The augmentation of a batch on the CPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/dtype.h"
#include "kernels/math/augment.h"

namespace affuse::cpu {

enum class DstLayout : std::uint8_t { nchw, nhwc };

struct AugmentShape {
  int n;      ///< images in the batch
  int valid;  ///< the first `valid` are real, the rest is written as zeros
  int height;
  int width;
};

/// Output = (value in [0, 1] - mean) / std, for each channel.
struct Normalisation {
  float mean[3];
  float std[3];
};

/// Bytes of scratch that `threads` threads need; more threads than that are not used.
std::size_t augment_scratch_bytes(int height, int width, int threads);

/// src [N, H, W, 3] bytes -> dst [N, 3, H, W] or [N, H, W, 3]; params [valid]. Scratch holds
/// augment_scratch_bytes for at least one thread, aligned to 16. Throws Error for an unusable
/// shape.
void augment_batch(const std::uint8_t* src, const math::AugmentParams* params,
                   const AugmentShape& shape, const Normalisation& normalisation, DstLayout layout,
                   float* dst, std::span<std::byte> scratch);
void augment_batch(const std::uint8_t* src, const math::AugmentParams* params,
                   const AugmentShape& shape, const Normalisation& normalisation, DstLayout layout,
                   Bf16* dst, std::span<std::byte> scratch);

}  // namespace affuse::cpu
