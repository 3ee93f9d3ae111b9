// CUDA's keywords and built-in variables. __shared__ and __constant__ are left undefined: a block's
// memory is GPU_SHARED, which a missing word in a .cu file must not get around.
#pragma once
#include <type_traits>

#include "kernels/cuda/emulation/runtime.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __grid_constant__
#define __forceinline__ inline

/// A block's shared variable: GPU_SHARED(float, sums, [8][32]).
#define GPU_SHARED(T, name, ...)                                                                 \
  auto& name =                                                                                   \
      *static_cast<::std::type_identity_t<T __VA_ARGS__>*>(::affuse::emulation::shared_variable( \
          [] {                                                                                   \
            static constexpr char key = 0;                                                       \
            return static_cast<const void*>(&key);                                               \
          }(),                                                                                   \
          sizeof(T __VA_ARGS__), alignof(T)))
/// The block's dynamic shared memory as an array of T.
#define GPU_DYNAMIC_SHARED(T, name) \
  T* name = static_cast<T*>(::affuse::emulation::dynamic_shared(alignof(T)))

inline uint3 threadIdx{}, blockIdx{};
inline dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;
