// Packs of 8 or 16 floats on GCC's vector extensions, and their loads and stores from fp32, bf16
// and uint8 memory. No fused multiply-add: the same bits on every instruction set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "engine/dtype.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace affuse::cpu {

template <int W>
struct Simd;
template <>
struct Simd<8> {
  typedef float F __attribute__((vector_size(32)));
  typedef std::int32_t I __attribute__((vector_size(32)));
  typedef std::uint32_t U __attribute__((vector_size(32)));
  typedef std::uint16_t H __attribute__((vector_size(16)));
};
template <>
struct Simd<16> {
  typedef float F __attribute__((vector_size(64)));
  typedef std::int32_t I __attribute__((vector_size(64)));
  typedef std::uint32_t U __attribute__((vector_size(64)));
  typedef std::uint16_t H __attribute__((vector_size(32)));
};
/// A pack of W floats, and of W 32-bit integers.
template <int W>
using Floats = typename Simd<W>::F;
template <int W>
using Ints = typename Simd<W>::I;

/// Lanes of the packs that make up a channel block: 16 where the machine has such registers.
#if defined(__AVX512F__)
template <int Block>
constexpr int lanes = Block;
#else
template <int Block>
constexpr int lanes = 8;
#endif

template <int W>
inline Floats<W> splat(float x) {
  return Floats<W>{} + x;
}

template <int W>
inline Floats<W> load(const float* p) {
  Floats<W> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <int W>
inline Floats<W> load(const Bf16* p) {
  typename Simd<W>::H h;
  std::memcpy(&h, p, sizeof h);
#if defined(__AVX2__)
  if constexpr (W == 8) {  // g++ 12 widens in halves
    return reinterpret_cast<Floats<W>>(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(h)), 16));
  }
#endif
  return reinterpret_cast<Floats<W>>(__builtin_convertvector(h, typename Simd<W>::U) << 16);
}

template <int W>
inline void store(const Floats<W>& v, float* p) {
  std::memcpy(p, &v, sizeof v);
}

/// to_bf16 of engine/dtype.h on W lanes.
template <int W>
inline typename Simd<W>::H round_to_bf16(const Floats<W>& v) {
  using U = typename Simd<W>::U;
  const U u = reinterpret_cast<U>(v);
  const U rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const U quiet = (u >> 16) | 0x40u;
#if defined(__AVX2__)
  if constexpr (W == 8) {  // g++ 12 narrows across the halves
    const __m256i bits = reinterpret_cast<__m256i>(v != v ? quiet : rounded);
    return reinterpret_cast<typename Simd<W>::H>(
        _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
  }
#endif
  return __builtin_convertvector(v != v ? quiet : rounded, typename Simd<W>::H);
}

template <int W>
inline void store(const Floats<W>& v, Bf16* p) {
  const typename Simd<W>::H h = round_to_bf16<W>(v);
  std::memcpy(static_cast<void*>(p), &h, sizeof h);
}

/// Stores past the caches: for results that do not fit them. p is aligned to the pack's bytes.
template <int W>
inline void stream(const Floats<W>& v, float* p) {
#if defined(__AVX512F__)
  if constexpr (W == 16) {
    _mm512_stream_ps(p, reinterpret_cast<__m512>(v));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) {
    _mm256_stream_ps(p, reinterpret_cast<__m256>(v));
    return;
  }
#endif
  store<W>(v, p);
}

template <int W>
inline void stream(const Floats<W>& v, Bf16* p) {
  const typename Simd<W>::H h = round_to_bf16<W>(v);
#if defined(__AVX2__)
  if constexpr (W == 8) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(p), reinterpret_cast<__m128i>(h));
  } else {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(h));
  }
#else
  std::memcpy(static_cast<void*>(p), &h, sizeof h);
#endif
}

/// Orders streamed stores before a barrier.
inline void stream_fence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

/// torch's relu: NaN stays NaN.
template <int W>
inline Floats<W> relu(const Floats<W>& x) {
  const Floats<W> zero{};
  return x < zero ? zero : x;
}

/// The gradient of relu from its output, as torch's threshold_backward: 0 where y <= 0.
template <int W>
inline Floats<W> relu_gradient(const Floats<W>& y, const Floats<W>& dy) {
  const Floats<W> zero{};
  return y <= zero ? zero : dy;
}

template <int W>
inline Ints<W> load_index(const std::uint8_t* p) {
#if defined(__AVX512F__)
  if constexpr (W == 16) {  // maskz: g++ 12 warns of its own unmasked form
    return reinterpret_cast<Ints<W>>(
        _mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) {
    return reinterpret_cast<Ints<W>>(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
#endif
  Ints<W> v;
  for (int i = 0; i < W; ++i) v[i] = p[i];
  return v;
}

template <int W>
inline void store_index(const Ints<W>& v, std::uint8_t* p) {
#if defined(__AVX512F__)
  if constexpr (W == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm512_maskz_cvtepi32_epi8(0xFFFF, reinterpret_cast<__m512i>(v)));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) {
    const __m256i whole = reinterpret_cast<__m256i>(v);
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    return;
  }
#endif
  for (int i = 0; i < W; ++i) p[i] = static_cast<std::uint8_t>(v[i]);
}

/// Calls f.template operator()<Block>() for the block of 8 or 16 channels.
template <class F>
void with_block(int block, F&& f) {
  if (block == 8) {
    f.template operator()<8>();
  } else {
    f.template operator()<16>();
  }
}

/// Calls f(std::true_type or std::false_type): a run-time switch outside the loop.
template <class F>
void with_flag(bool flag, F&& f) {
  if (flag) {
    f(std::true_type{});
  } else {
    f(std::false_type{});
  }
}

/// Results of more bytes than this are streamed past the caches.
constexpr std::size_t stream_bytes = 24u << 20;

/// Whether a result of `bytes` at p should be, and can be, streamed.
inline bool should_stream(const void* p, std::size_t bytes) {
  return bytes > stream_bytes && reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
}

}  // namespace affuse::cpu
