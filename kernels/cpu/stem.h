// The stem after its convolution in one pass: batch norm, ReLU and 3x3 stride-2 max pool, without
// ever storing the full-resolution activation. T is float or Bf16. Results do not depend on the
// number of threads.
#pragma once
#include <cstdint>

#include "kernels/cpu/norm.h"

namespace affuse::cpu {

/// y = max pool(relu(batch norm(x))) with given statistics: inference, and training after
/// bn_statistics. x is s.in(), y and index s.out(). index is the place of the first maximum of
/// batch norm's output, so that it holds where y > 0; where y = 0 nothing flows back.
template <class T>
void stem_apply(const T* x, const PoolMaps& s, const BatchNorm& bn, T* y, std::uint8_t* index);

template <class T>
struct StemForward {
  const T* x;  ///< the convolution's output
  const float* gamma;
  const float* beta;
  float eps = 1e-5f;
  T* y;
  std::uint8_t* index;
  float* mean;    ///< [c]
  float* var;     ///< [c], biased
  float* invstd;  ///< [c]
};

/// Statistics over the first `valid` samples, then stem_apply on all, a channel block at a time.
/// The same bits as bn_statistics, bn_invstd and stem_apply in turn.
/// @throws DeviceError on maps that are not blocked or `valid` outside 1..n, as stem_backward.
template <class T>
void stem_forward(const StemForward<T>& a, const PoolMaps& s, int valid);

template <class T>
struct StemBackward {
  const T* dy;  ///< gradient of y
  const T* y;
  const std::uint8_t* index;
  const T* x;
  const float* mean;
  const float* invstd;
  const float* gamma;
  T* dx;          ///< overwritten; may be x
  float* dgamma;  ///< [c], overwritten
  float* dbeta;   ///< [c], overwritten
};

/// bn_backward with g = unpooled (dy where y > 0), gathered on the fly in both of its passes: the
/// sums read x at the maxima themselves, so that gamma may be 0. Samples from `valid` on get dx 0.
template <class T>
void stem_backward(const StemBackward<T>& a, const PoolMaps& s, int valid);

}  // namespace affuse::cpu
