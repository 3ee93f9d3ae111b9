// uint8 NHWC faces to the network's input in one kernel: gather, flip, affine, colour jitter,
// normalise, erase, pad the channels to 16 bytes a pixel.
#pragma once
#include <cstdint>

#include "engine/dtype.h"
#include "engine/step_state.h"
#include "kernels/cuda/stream.h"
#include "kernels/math/augment.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Channels of the network's input: 4 in fp32, 8 in 16 bit; those behind the third are 0.
template <class T>
inline constexpr int kImageChannels = 16 / static_cast<int>(sizeof(T));

template <class T>
struct AugmentBatch {
  const std::uint8_t* images;          ///< [., h, w, 3]
  const std::int64_t* rows = nullptr;  ///< [n] image of each sample; null: sample i is image i
  const math::AugmentParams* params;   ///< [n]
  int n, h, w;
  float mean[3], std[3];
  float* grey_mean;  ///< [n] scratch
  T* y;              ///< [n, h, w, kImageChannels<T>]; 0 from state->valid on
  const StepState* state;
};

template <class T>
void augment(const AugmentBatch<T>& a, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
