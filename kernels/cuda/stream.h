// The namespace and the stream of the CUDA room. Its sources are compiled twice: for the GPU
// (affuse::cuda) and for tests on the CPU (affuse::cuda_emulated, see emulation/README.md).
#pragma once

#if !defined(AFFUSE_CUDA_NAMESPACE)
#define AFFUSE_CUDA_NAMESPACE cuda
#endif

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// A cudaStream_t without CUDA's headers; kernels of one stream run in order.
using Stream = void*;

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
