// The step's few numbers on their way to a sum over the ranks, in device memory.
#pragma once
#include "kernels/cuda/stream.h"
#include "kernels/math/step_sums.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// math::pack_step_sums; sums [math::kStepSums].
void pack_step_sums(const StepState* state, double* sums, Stream stream);
/// math::unpack_step_sums.
void unpack_step_sums(const double* sums, StepState* state, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
