// The step's few numbers on their way to a sum over the ranks, in device memory.
#pragma once
#include "engine/step_state.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

inline constexpr int kStepSums = 5;

/// sums [kStepSums] = share times loss, loss_ce, loss_cs and loss_l2; found_inf.
void pack_step_sums(const StepState* state, double* sums, Stream stream);
/// Back: the losses of the global batch; found_inf is 1 where any rank's was.
void unpack_step_sums(const double* sums, StepState* state, Stream stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
