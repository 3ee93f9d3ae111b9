// Between fp32 and bf16 arrays, and between plain NCHW and channel-blocked maps. T is float or
// Bf16.
#pragma once
#include <cstddef>

#include "engine/dtype.h"
#include "kernels/cpu/maps.h"

namespace affuse::cpu {

/// to[i] = from[i], rounded to nearest even; NaN stays NaN. The arrays do not overlap.
void convert(const float* from, Bf16* to, std::size_t count);
void convert(const Bf16* from, float* to, std::size_t count);

/// Plain [m.n][channels][m.hw] to blocked maps; channels from `channels` to m.c become 0.
/// @param channels 1..m.c
/// @throws DeviceError on maps that are not blocked or `channels` outside 1..m.c, as from_blocked.
template <class T>
void to_blocked(const float* plain, int channels, const Maps& m, T* blocked);

/// Blocked maps to plain [m.n][channels][m.hw]; channels past `channels` are dropped.
template <class T>
void from_blocked(const T* blocked, int channels, const Maps& m, float* plain);

/// Sets rows first..last-1 of an array of `width` elements a row to 0.
template <class T>
void zero_rows(T* rows, std::size_t width, int first, int last);

}  // namespace affuse::cpu
