// 16 bytes of elements, read and written as one access, and their values as floats.
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/gpu.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// N elements read or written as one access; their address is a multiple of its size.
template <class T, int N>
struct alignas(N * sizeof(T)) Group {
  static constexpr int size = N;
  T value[N];
};

/// Group number `i` of an array.
template <int N, class T>
__device__ __forceinline__ Group<T, N> load_group(const T* array, std::size_t i) {
  return reinterpret_cast<const Group<T, N>*>(array)[i];
}
template <class T, int N>
__device__ __forceinline__ void store_group(T* array, std::size_t i, const Group<T, N>& group) {
  reinterpret_cast<Group<T, N>*>(array)[i] = group;
}

/// 16 bytes: 4 floats or 8 16-bit numbers.
template <class T>
using Pack = Group<T, 16 / static_cast<int>(sizeof(T))>;

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
  return load_group<Pack<T>::size>(array, i);
}
template <class T>
__device__ __forceinline__ void store_pack(T* array, std::size_t i, const Pack<T>& pack) {
  store_group(array, i, pack);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
