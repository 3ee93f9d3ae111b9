// Element types and their conversions to and from float.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/host_device.h"

namespace affuse {

enum class DType : std::uint8_t { f32, bf16, f16, f64, u8, i32, i64 };

/// Bytes of one element.
constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::u8:
      return 1;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  return 0;
}

constexpr std::string_view name_of(DType t) {
  switch (t) {
    case DType::f32:
      return "fp32";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "fp16";
    case DType::f64:
      return "fp64";
    case DType::u8:
      return "u8";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
  }
  return "?";
}

/// A bfloat16 number as its 16 bits.
struct Bf16 {
  std::uint16_t bits = 0;
};

AFFUSE_HD float to_float(float x) { return x; }
AFFUSE_HD float to_float(Bf16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

/// Rounds to nearest even; NaN stays NaN.
AFFUSE_HD Bf16 to_bf16(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (u >> 16) | 0x40u;
  const bool is_nan = (u & 0x7FFFFFFFu) > 0x7F800000u;
  return Bf16{static_cast<std::uint16_t>(is_nan ? quiet : rounded)};
}

/// An IEEE binary16 number as its bits.
struct Half {
  std::uint16_t bits = 0;
};

AFFUSE_HD float to_float(Half x) {
  const std::uint32_t sign = std::uint32_t{x.bits & 0x8000u} << 16;
  const std::uint32_t rest = x.bits & 0x7FFFu;
  // Exponent and fraction move up 13 places; multiplying by 2^112 repairs the exponent's bias and
  // normalises subnormal numbers. Infinity and NaN get float's largest exponent.
  const float scaled = std::bit_cast<float>(rest << 13) * 0x1p112f;
  const std::uint32_t magnitude =
      rest >= 0x7C00u ? (rest << 13) | 0x7F800000u : std::bit_cast<std::uint32_t>(scaled);
  return std::bit_cast<float>(sign | magnitude);
}

/// Rounds to nearest even, to infinity from 65520 on; NaN stays NaN.
AFFUSE_HD Half to_half(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7FFFFFFFu;
  std::uint32_t bits = 0;
  if (magnitude > 0x7F800000u) {
    bits = 0x7E00u;
  } else if (magnitude >= 0x477FF000u) {
    bits = 0x7C00u;
  } else if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 leaves the number in units of 2^-24, rounded, in the last bits.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u;
  } else {
    bits = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
  }
  return Half{static_cast<std::uint16_t>(sign | bits)};
}

AFFUSE_HD void from_float(float x, float& out) { out = x; }
AFFUSE_HD void from_float(float x, Bf16& out) { out = to_bf16(x); }
AFFUSE_HD void from_float(float x, Half& out) { out = to_half(x); }

}  // namespace affuse
