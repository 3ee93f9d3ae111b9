// 16 bytes of elements, read and written as one access, and their values as floats.
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/gpu.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// 4 floats or 8 16-bit numbers; their address is a multiple of 16.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / static_cast<int>(sizeof(T));
  T value[size];
};

/// One element as a float, by the conversion instruction where there is one.
__device__ __forceinline__ float widened(float x) { return x; }
__device__ __forceinline__ float widened(Bf16 x) { return to_float(x); }
__device__ __forceinline__ float widened(Half x) {
#if defined(__CUDA_ARCH__)
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(x.bits));
  return out;
#else
  return to_float(x);
#endif
}

/// The nearest T, ties to even.
template <class T>
__device__ __forceinline__ T narrowed(float x) {
  T out;
  from_float(x, out);
  return out;
}
template <>
__device__ __forceinline__ Half narrowed<Half>(float x) {
#if defined(__CUDA_ARCH__)
  Half out;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
  return out;
#else
  return to_half(x);
#endif
}
template <>
__device__ __forceinline__ Bf16 narrowed<Bf16>(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  Bf16 out;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
  return out;
#else
  return to_bf16(x);
#endif
}

/// Pack number `i` of an array.
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* array, std::size_t i) {
  return reinterpret_cast<const Pack<T>*>(array)[i];
}
template <class T>
__device__ __forceinline__ void store_pack(T* array, std::size_t i, const Pack<T>& pack) {
  reinterpret_cast<Pack<T>*>(array)[i] = pack;
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
