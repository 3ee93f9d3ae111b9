// The one CUDA header a .cu file includes: real CUDA under nvcc; otherwise the emulation, which
// runs the same kernel on the CPU in tests.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kernels/cuda/stream.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#include "engine/error.h"

/// A block's shared variable: GPU_SHARED(float, sums, [8][32]).
#define GPU_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
/// The block's dynamic shared memory as an array of T.
#define GPU_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char gpu_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(gpu_dynamic_shared)

namespace affuse::gpu {

/// Throws DeviceError where the launch is refused. An empty grid is no launch.
template <auto Kernel, class... A>
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, void* stream, A&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaError_t error = cudaSuccess;
  if (shared_bytes > 48 * 1024)  // has to be asked for
    error = cudaFuncSetAttribute(Kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  if (error == cudaSuccess)
    error = cudaLaunchKernelEx(&config, Kernel, std::forward<A>(arguments)...);
  if (error != cudaSuccess)
    throw DeviceError(std::string("CUDA refuses to launch a kernel: ") + cudaGetErrorString(error));
}

}  // namespace affuse::gpu
#else
#include "kernels/cuda/emulation/emulation.h"
#endif
