// Sums of the gradients over the ranks, while backward still runs.
#include <iterator>

#include <fmt/format.h>

#include "kernels/cpu/lowering.h"

namespace affuse::cpu {

/// The group's gradients are computed.
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
      ranks->start_sum(f.at<float>(gradients) + at.offset, at.count, nullptr);
    };
    emit(std::move(step));
  }
}

/// Waits for the slices and makes the losses and found_inf those of the global batch.
void Lowering::finish_sums() {
  if (!slices_) return;
  start_sums(true);
  Step step{"all_reduce finish"};
  const BufferId gradients = external(external::gradients);
  step.engine = ranks_->name();
  step.reads = step.writes = {gradients};
  step.run = [ranks = ranks_](const Frame& f) {
    ranks->finish_sums(nullptr);
    StepState& s = *f.state;
    const double share = double{s.share};
    double sums[] = {share * s.loss, share * s.loss_ce, share * s.loss_cs, share * s.loss_l2,
                     static_cast<double>(s.found_inf)};
    ranks->sum(sums, std::size(sums), nullptr);
    s.loss = sums[0];
    s.loss_ce = sums[1];
    s.loss_cs = sums[2];
    s.loss_l2 = sums[3];
    s.found_inf = sums[4] > 0 ? 1 : 0;
  };
  emit(std::move(step));
}

}  // namespace affuse::cpu
