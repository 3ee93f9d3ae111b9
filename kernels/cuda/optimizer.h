// Adam over the flat fp32 buffers, the check for overflow, and SWA's running mean.
#pragma once
#include <cstddef>

#include "engine/dtype.h"
#include "engine/step_state.h"
#include "kernels/cuda/stream.h"
#include "kernels/math/adam.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// state->found_inf becomes 1 where an element is not finite; it is never set back to 0.
void check_finite(const float* x, std::size_t count, StepState* state, Stream stream);

/// T is the type of the 16-bit copy (float: none).
template <class T>
struct Adam {
  float* weights;
  const float* gradient;
  float *m, *v;
  T* copy = nullptr;  ///< the updated weights rounded, or null
  std::size_t count;
  math::AdamSettings settings;        ///< lr is not read
  math::AdamFactors<float>* factors;  ///< device scratch, one
  const StepState* state;             ///< step, lr, loss_scale, found_inf
};

/// One step of math::adam on every element; nothing changes where state->found_inf is set.
template <class T>
void adam(const Adam<T>& a, Stream stream);

/// mean = the mean of state->averaged + 1 weights.
void average(float* mean, const float* weights, std::size_t count, const StepState* state,
             Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
