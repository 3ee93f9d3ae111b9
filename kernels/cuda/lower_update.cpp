// Loss, update and average: what stands around the network's two halves.
#include "kernels/cuda/affect_loss.h"
#include "kernels/cuda/lowering.h"
#include "kernels/cuda/optimizer.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/typed.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

// Label posterior, fusion and the three losses with their gradients (Eq. 1-9) as one step.
// Evaluation computes the same losses; its gradients go to scratch that nobody reads.
void Lowering::loss(const affuse::AffectLoss& op) {
  const int n = spec_.batch, classes = static_cast<int>(graph_.at(op.logits).shape[0]);
  Step step{"affect_loss"};
  const BufferId logits = value(op.logits), va_hat = value(op.va);
  const BufferId label = input(io::label, {n}, DType::i32), va = input(io::va, {n, 2}, DType::f32),
                 has_va = input(io::has_va, {n}, DType::u8),
                 given = input(io::given, {n, classes}, DType::f32);
  const BufferId model = external(external::label_model),
                 settings = external(external::loss_settings);
  const auto gradient = [&](ValueId id) {
    const BufferId d = program_.add("d " + graph_.at(id).name, maps(graph_.at(id).shape));
    gradients_[id] = {d};
    return d;
  };
  const BufferId d_logits = gradient(op.logits), d_va = gradient(op.va);
  const BufferId target = output(io::target, {n, classes}, DType::f32),
                 terms = output(io::loss_terms, {n, 3}, DType::f32),
                 probability = output(io::probability, {n, classes}, DType::f32);
  step.reads = {logits, va_hat, label, va, has_va, given, model, settings};
  step.writes = {target, terms, probability};
  for (const BufferId id : {d_logits, d_va}) (trains() ? step.writes : step.scratch).push_back(id);
  step.run = [=](const Frame& f) {
    affect_loss({.model = f.at<const math::TargetModel<float>>(model),
                 .settings = f.at<const math::LossSettings>(settings),
                 .n = n,
                 .classes = classes,
                 .logits = f.at<const float>(logits),
                 .va_hat = f.at<const float>(va_hat),
                 .label = f.at<const std::int32_t>(label),
                 .va = f.at<const float>(va),
                 .has_va = f.at<const std::uint8_t>(has_va),
                 .given = f.at<const float>(given),
                 .target = f.at<float>(target),
                 .probability = f.at<float>(probability),
                 .terms = f.at<float>(terms),
                 .d_logits = f.at<float>(d_logits),
                 .d_va = f.at<float>(d_va),
                 .state = f.state},
                f.stream);
  };
  emit(std::move(step));
}

void Lowering::update(const affuse::Adam& op) {
  const BufferId gradients = external(external::gradients);
  const std::size_t begin = updated_.offset, count = updated_.count;
  if (spec_.precision == Precision::fp16) {
    // Scaled gradients may overflow although the loss is finite.
    Step check{"check gradients"};
    check.reads = {gradients};
    check.parameter_bytes = 4.0 * static_cast<double>(count);
    check.run = [=](const Frame& f) {
      check_finite(f.at<const float>(gradients) + begin, count, f.state, f.stream);
    };
    emit(std::move(check));
  }
  Step step{"adam"};
  const BufferId weights = external(external::weights), m = external(external::moment1),
                 v = external(external::moment2);
  // Nobody reads the heads in 16 bit.
  const bool keeps_copy = type_ != DType::f32 && spec_.mode == Mode::train;
  const BufferId copy = keeps_copy ? external(external::weights16) : -1;
  const BufferId factors = scratch("adam factors", sizeof(math::AdamFactors<float>));
  step.reads = {gradients};
  step.writes = {weights, m, v};
  if (copy >= 0) step.writes.push_back(copy);
  step.scratch = {factors};
  step.parameter_bytes = (copy >= 0 ? 30.0 : 28.0) * static_cast<double>(count);
  const math::AdamSettings settings{
      0, double{op.beta1}, double{op.beta2}, double{op.eps}, double{op.weight_decay}, op.decoupled};
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      adam(Adam<T>{.weights = f.at<float>(weights) + begin,
                   .gradient = f.at<const float>(gradients) + begin,
                   .m = f.at<float>(m) + begin,
                   .v = f.at<float>(v) + begin,
                   .copy = copy >= 0 ? f.at<T>(copy) : nullptr,
                   .count = count,
                   .settings = settings,
                   .factors = f.at<math::AdamFactors<float>>(factors),
                   .state = f.state},
           f.stream);
    };
  });
  emit(std::move(step));
}

// Waits for the slices and makes the losses and found_inf those of the global batch.
void Lowering::finish_sums() {
  Step step = last_sum();
  const BufferId sums = scratch("step sums", math::kStepSums * sizeof(double));
  step.scratch = {sums};
  step.run = [ranks = ranks_, sums](const Frame& f) {
    auto* numbers = f.at<double>(sums);
    ranks->finish_sums(f.stream);
    pack_step_sums(f.state, numbers, f.stream);
    ranks->sum(numbers, math::kStepSums, f.stream);
    unpack_step_sums(numbers, f.state, f.stream);
  };
  emit(std::move(step));
}

void Lowering::average() {
  Step step{"average"};
  const BufferId mean = external(external::average), weights = external(external::weights);
  step.reads = {weights};
  step.writes = {mean};
  const std::size_t count = layout_.weights;
  step.parameter_bytes = 12.0 * static_cast<double>(count);
  step.run = [=](const Frame& f) {
    AFFUSE_CUDA_NAMESPACE::average(f.at<float>(mean), f.at<const float>(weights), count, f.state,
                                   f.stream);
  };
  emit(std::move(step));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
