// Sums of whole arrays: gradient fan-in and evaluation's residual sum. T is float or Bf16.
#pragma once
#include <cstddef>

#include "engine/dtype.h"

namespace affuse::cpu {

/// y[i] += x[i].
template <class T>
void add(const float* x, T* y, std::size_t count);

/// y[i] += x[i], then ReLU if asked; NaN stays NaN.
template <class T>
void add_relu(const T* x, T* y, std::size_t count, bool relu);

}  // namespace affuse::cpu
