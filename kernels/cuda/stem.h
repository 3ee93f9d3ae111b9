// The stem behind its convolution: batch norm, ReLU and 3x3 stride-2 max pool in one pass, and
// back, without ever storing the full-resolution activation. Statistics come from bn_statistics.
#pragma once
#include "engine/dtype.h"
#include "kernels/cuda/maps.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// In `index`: the window's maximum is 0, nothing flows back.
inline constexpr std::uint8_t kDeadWindow = 15;

template <class T>
struct StemApply {
  const T* x;  ///< s.in(), the convolution's output
  const float *mean, *invstd, *gamma, *beta;
  T* y;                           ///< s.out()
  std::uint8_t* index = nullptr;  ///< s.out(): first maximum's place in its window, 3 row + column,
                                  ///< or kDeadWindow; null: not kept
};

/// y = max pool(relu(batch norm(x))) for all samples; NaN wins, as in torch.
template <class T>
void stem_apply(const StemApply<T>& a, const PoolMaps& s, Stream stream);

/// Scratch of stem_backward_sums.
std::size_t stem_partial_bytes(const PoolMaps& s);

template <class T>
struct StemBackward {
  const T* dy;             ///< s.out(), gradient of the pooled output
  const T* dy2 = nullptr;  ///< a second one to add, or null
  const T* y;              ///< s.out()
  const std::uint8_t* index;
  const T* x;                                 ///< s.in()
  const float *mean, *invstd, *gamma, *beta;  ///< [c]
  void* partial;                              ///< stem_partial_bytes
  T* g = nullptr;  ///< s.out(): dy + dy2, written by the sums when dy2 is there; may be dy
  float* dgamma;   ///< [c], written by the sums
  float* dbeta;    ///< [c], written by the sums
  T* dx;           ///< s.in(), written by the apply, 0 for padding; may be x
  const StepState* state;
};

/// The sums of bn_backward_sums in the pooled domain, a quarter of the elements: the normalised
/// value at a maximum is (y - beta) / gamma; channels whose gamma is too small for that read x.
template <class T>
void stem_backward_sums(const StemBackward<T>& a, const PoolMaps& s, Stream stream);

/// dx of the whole stem: unpool and batch norm's backward in one pass.
template <class T>
void stem_backward_apply(const StemBackward<T>& a, const PoolMaps& s, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
