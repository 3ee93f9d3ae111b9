// Sums of the gradients over the ranks, while backward still runs.
#include <fmt/format.h>

#include "kernels/cuda/lowering.h"
#include "kernels/cuda/reduce.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

// The group's gradients are computed.
void Lowering::reduce(const Group& group) {
  if (!slices_) return;
  if (group.conv != nullptr)
    for (const ParamId id : {group.conv->weight, group.bn->weight, group.bn->bias})
      slices_->complete(id);
  else if (const auto* op = std::get_if<Linear>(group.lone))
    for (const ParamId id : {op->weight, op->bias}) slices_->complete(id);
  start_sums(false);
}

void Lowering::start_sums(bool all) {
  while (const auto slice = slices_->take(all)) {
    Step step{fmt::format("all_reduce {}", ++sums_)};
    const BufferId gradients = external(external::gradients);
    step.engine = ranks_->name();
    step.reads = step.writes = {gradients};
    step.parameter_bytes = 2.0 * sizeof(float) * static_cast<double>(slice->count);
    step.run = [ranks = ranks_, gradients, at = *slice](const Frame& f) {
      ranks->start_sum(f.at<float>(gradients) + at.offset, at.count, f.stream);
    };
    emit(std::move(step));
  }
}

// Waits for the slices and makes the losses and found_inf those of the global batch.
void Lowering::finish_sums() {
  if (!slices_) return;
  start_sums(true);
  Step step{"all_reduce finish"};
  const BufferId gradients = external(external::gradients);
  const BufferId sums = scratch("step sums", kStepSums * sizeof(double));
  step.engine = ranks_->name();
  step.reads = step.writes = {gradients};
  step.scratch = {sums};
  step.run = [ranks = ranks_, sums](const Frame& f) {
    auto* numbers = f.at<double>(sums);
    ranks->finish_sums(f.stream);
    pack_step_sums(f.state, numbers, f.stream);
    ranks->sum(numbers, kStepSums, f.stream);
    unpack_step_sums(numbers, f.state, f.stream);
  };
  emit(std::move(step));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
