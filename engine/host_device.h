// Marks functions that g++ and nvcc both compile: the maths of kernels/math runs on host and
// device.
#pragma once

#if defined(__CUDACC__)
#define AFFUSE_HD __host__ __device__ __forceinline__
#else
#define AFFUSE_HD inline
#endif
