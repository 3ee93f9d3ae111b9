// Label posterior, fusion and the three losses with their gradients (Eq. 1-9) as one step.
#include <limits>

#include "engine/error.h"
#include "kernels/cpu/affect_loss.h"
#include "kernels/cpu/lowering.h"
#include "kernels/math/targets.h"

namespace affuse::cpu {
namespace {

struct LossBuffers {
  BufferId logits, va, label, va_target, has_va, given, model, settings;
  BufferId d_logits, d_va, target, terms, probability;
};

void fuse_labels(const Frame& f, const LossBuffers& at, int n, int classes) {
  const auto& model = *f.at<const math::TargetModel<float>>(at.model);
  const auto* labels = f.at<const std::int32_t>(at.label);
  const auto* va = f.at<const float>(at.va_target);
  const auto* has_va = f.at<const std::uint8_t>(at.has_va);
  const auto* given = f.at<const float>(at.given);
  auto* target = f.at<float>(at.target);
  for (int i = 0; i < n; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i) * classes;
    math::training_target(
        model,
        math::Annotation<float>{labels[i], has_va[i] != 0, va[2 * i], va[2 * i + 1], given + row},
        target + row);
  }
}

void run_loss(const Frame& f, const LossBuffers& at, int n, int classes) {
  StepState& state = *f.state;
  fuse_labels(f, at, n, classes);
  const auto& settings = *f.at<const math::LossSettings>(at.settings);
  const math::AffectTargets targets{
      f.at<const float>(at.target), f.at<const std::int32_t>(at.label),
      f.at<const float>(at.va_target), f.at<const std::uint8_t>(at.has_va)};
  const BatchLoss loss = affect_loss_forward_backward(
      settings, f.at<const float>(at.logits), f.at<const float>(at.va), targets, n, state.valid,
      {f.at<float>(at.d_logits), f.at<float>(at.d_va), f.at<float>(at.terms),
       f.at<float>(at.probability)},
      state.loss_scale * state.share, state.mix);
  state.loss_ce = loss.ce;
  state.loss_cs = loss.cs;
  state.loss_l2 = loss.l2;
  state.loss = loss.total(settings);
  state.found_inf = loss.finite ? 0 : 1;
}

}  // namespace

// Evaluation computes the same losses; its gradients go to scratch that nobody reads.
void Lowering::loss(const AffectLoss& op) {
  const int n = spec_.batch, classes = static_cast<int>(graph_.at(op.logits).shape[0]);
  Step step{"affect_loss"};
  LossBuffers at{};
  at.logits = value(op.logits);
  at.va = value(op.va);
  at.label = input(io::label, {n}, DType::i32);
  at.va_target = input(io::va, {n, 2}, DType::f32);
  at.has_va = input(io::has_va, {n}, DType::u8);
  at.given = input(io::given, {n, classes}, DType::f32);
  at.model = external(external::label_model);
  at.settings = external(external::loss_settings);
  at.d_logits = gradient(op.logits);
  at.d_va = gradient(op.va);
  at.target = output(io::target, {n, classes}, DType::f32);
  at.terms = output(io::loss_terms, {n, 3}, DType::f32);
  at.probability = output(io::probability, {n, classes}, DType::f32);
  step.reads = {at.logits, at.va, at.label, at.va_target, at.has_va, at.given};
  step.writes = {at.target, at.terms, at.probability};
  for (const BufferId id : {at.d_logits, at.d_va})
    (trains() ? step.writes : step.scratch).push_back(id);
  written_[op.logits] = written_[op.va] = true;
  step.run = [at, n, classes](const Frame& f) { run_loss(f, at, n, classes); };
  emit(std::move(step));
}

}  // namespace affuse::cpu
