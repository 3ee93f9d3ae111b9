// Small fully connected layers (the heads): tens of outputs on plain fp32 matrices. Every sum is
// taken in a fixed order: results do not depend on the number of threads.
#pragma once
#include "kernels/cpu/maps.h"

namespace affuse::cpu {

enum class Activation { none, tanh };

/// x [n][in], W [out][in], b [out], y [n][out], all row-major; any positive extents.
struct LinearShape {
  int n;
  int in;
  int out;
};

/// y = activation(x W^T + b). b may be null.
void linear_forward(const float* x, const float* w, const float* b, const LinearShape& s,
                    Activation activation, float* y);

struct LinearBackward {
  const float* dy;           ///< [n][out], gradient of y
  const float* y = nullptr;  ///< the output; read for Activation::tanh only
  const float* x;
  const float* w;
  Activation activation = Activation::none;
  float* dx = nullptr;  ///< [n][in], null: not wanted
  Write dx_write = Write::overwrite;
  float* dw;            ///< [out][in], overwritten
  float* db = nullptr;  ///< [out], overwritten; null: no bias
};

/// With d = dy (1 - y^2) for tanh, dy otherwise: dx = d W, dW = d^T x, db = sum over n of d.
void linear_backward(const LinearBackward& a, const LinearShape& s);

}  // namespace affuse::cpu
