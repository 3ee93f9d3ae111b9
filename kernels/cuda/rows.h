// A thread a sample: what the kernels of labels and losses share. Device code, for .cu files.
#pragma once
#include <cstdint>
#include <string>

#include "engine/error.h"
#include "kernels/cuda/gpu.h"
#include "kernels/math/posterior.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// One warp a block: a batch is a few hundred threads that wait for memory and exp, so they go to
/// as many multiprocessors as there are warps. Rows in the making are local arrays [kMaxClasses]:
/// 32 threads' worth stays in L1.
inline constexpr int kRowThreads = 32;

inline dim3 row_blocks(int n) {
  return dim3(static_cast<unsigned>((n + kRowThreads - 1) / kRowThreads));
}

/// Throws Error where K does not fit the local arrays.
inline void check_classes(const char* place, int classes) {
  if (classes < 1 || classes > math::kMaxClasses)
    throw Error(std::string(place) + ": " + std::to_string(classes) + " classes; 1 to " +
                std::to_string(math::kMaxClasses) + " are possible");
}

__device__ __forceinline__ int row_of_thread() {
  return static_cast<int>(blockIdx.x) * kRowThreads + static_cast<int>(threadIdx.x);
}

/// A label outside 0..K-1 counts as none. The loader refuses such labels and the CPU throws
/// DataError; a kernel cannot, and must not read past the class weights or the noise matrix.
__device__ __forceinline__ int known_label(std::int32_t label, int classes) {
  return label >= 0 && label < classes ? label : -1;
}

/// Row `row` of an array [n, width].
template <class T>
__device__ __forceinline__ T* row_at(T* rows, int row, int width) {
  return rows + static_cast<std::size_t>(row) * static_cast<std::size_t>(width);
}

__device__ __forceinline__ void store_row(float* rows, int row, int width, const float* x) {
  float* out = row_at(rows, row, width);
  for (int k = 0; k < width; ++k) out[k] = x[k];
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
