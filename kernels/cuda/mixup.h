// Mixup of a batch on the GPU, in place between augmentation and the first convolution.
#pragma once
#include <cstddef>

#include "engine/dtype.h"
#include "engine/step_state.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

template <class T>
struct MixupBatch {
  T* x;                    ///< [n, elements], 16-byte aligned
  int n;                   ///< rows, padding included
  std::size_t elements;    ///< of one image, a multiple of 16 bytes
  const StepState* state;  ///< reads valid and mix
};

/// Each of the first state->valid rows becomes mix times itself plus (1 - mix) times its partner
/// (kernels/math/mixup.h). The other rows, the middle one of an odd count, and with mix 1 all of
/// them, stay as they are. T is float, Half or Bf16.
template <class T>
void mixup(const MixupBatch<T>& a, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
