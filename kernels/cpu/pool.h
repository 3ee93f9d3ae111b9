// Pooling over channel-blocked maps: 3x3 stride-2 max pool with its argmax, global average pool.
// T is float or Bf16.
#pragma once
#include <cstdint>

#include "kernels/cpu/maps.h"

namespace affuse::cpu {

/// 3x3, stride 2, pad 1 max pool (torch.nn.MaxPool2d(3, 2, 1)). x is s.in(), y and index s.out();
/// index is the first maximum's place in its window, 3 row + column, 0..8. NaN wins, as in torch.
/// @throws DeviceError on maps that are not blocked, as all below.
template <class T>
void max_pool_forward(const T* x, const PoolMaps& s, T* y, std::uint8_t* index);

/// dx (s.in(), overwritten) = sum of dy over the at most 4 windows whose maximum the pixel is.
template <class T>
void max_pool_backward(const T* dy, const std::uint8_t* index, const PoolMaps& s, T* dx);

/// y[n][c] = mean over the pixels of each map, plain floats.
template <class T>
void average_pool_forward(const T* x, const Maps& m, float* y);

/// dx (overwritten) = dy[n][c] / hw for each pixel.
template <class T>
void average_pool_backward(const float* dy, const Maps& m, T* dx);

}  // namespace affuse::cpu
