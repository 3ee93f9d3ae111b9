// Between fp32 and 16-bit arrays: weights down, weight gradients up.
#pragma once
#include <cstddef>

#include "engine/dtype.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// to[i] = from[i] rounded to nearest even. T is Half or Bf16; any count; 16-byte aligned.
template <class T>
void narrow(const float* from, T* to, std::size_t count, Stream stream);

/// to[i] = from[i].
template <class T>
void widen(const T* from, float* to, std::size_t count, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
