// The loss, the backward half and the update of a training step.
#include "kernels/cpu/adam.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/lowering.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/stem.h"
#include "kernels/cpu/typed.h"
#include "kernels/math/step_sums.h"

namespace affuse::cpu {

void Lowering::backward() {
  for (auto g = groups_.rbegin(); g != groups_.rend(); ++g) {
    if (!carries_gradients(*g)) continue;
    if (g->conv != nullptr) {
      g->pool != nullptr ? stem_backward(*g) : norm_act_backward(*g);
      conv_backward(*g);
      reduce(*g);
      continue;
    }
    std::visit(overload{[&](const Linear& op) { linear_backward(g->name, op); },
                        [&](const GlobalAvgPool& op) { pool_backward(op); }, [](const auto&) {}},
               *g->lone);
    reduce(*g);
  }
  if (ranks_->size() > 1) finish_sums();
  for (const Group& g : groups_)
    if (g.lone != nullptr)
      if (const auto* adam = std::get_if<Adam>(g.lone)) update(*adam);
}

void Lowering::norm_act_backward(const Group& group) {
  Step step{group.name + " norm.backward"};
  const NormPlaces at = norm_places(group);
  const Place dweight = parameter_gradient(group.bn->weight);
  const Place dbias = parameter_gradient(group.bn->bias);
  const BufferId x = value(group.conv->y), dy = gradient(group.out()), dx = gradient(group.conv->y);
  const BufferId y = group.relu != nullptr ? value(group.out()) : -1;
  step.reads = {dy, x, at.mean, at.inverse_std};
  if (y >= 0) step.reads.push_back(y);
  step.writes = {dx, dweight.buffer};
  step.parameter_bytes = 3 * bytes_of({group.bn->weight});
  BufferId d_residual = -1;
  auto write = Write::overwrite;
  if (group.add != nullptr) {
    d_residual = gradient(group.residual());
    if (writes_gradient(step, group.residual())) write = Write::accumulate;
  }
  const Maps shape = maps_of(group.conv->y);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      bn_backward(BnBackward<T>{.dy = f.at<const T>(dy),
                                .x = f.at<const T>(x),
                                .y = y >= 0 ? f.at<const T>(y) : nullptr,
                                .mean = f.at<const float>(at.mean),
                                .invstd = f.at<const float>(at.inverse_std),
                                .gamma = at.weight.floats(f),
                                .dx = f.at<T>(dx),
                                .dgamma = dweight.floats(f),
                                .dbeta = dbias.floats(f),
                                .d_residual = d_residual >= 0 ? f.at<T>(d_residual) : nullptr,
                                .residual_write = write},
                  shape, f.state->valid);
    };
  });
  emit(std::move(step));
}

void Lowering::conv_backward(const Group& group) {
  const Conv& conv = *group.conv;
  const ConvProblem shape = problem(conv);
  Step weights{group.name + " backward weights"};
  const ConvPlaces dw{{value(conv.x)}, parameter_gradient(conv.weight), {gradient(conv.y)}, {}};
  weights.reads = {dw.x.buffer, dw.y.buffer};
  weights.writes = {dw.weights.buffer};
  weights.parameter_bytes = bytes_of({conv.weight});
  lower_backward_weights(dnn_, shape, weight_desc(conv), dw, program_, weights,
                         recorded(weights.name));
  emit(std::move(weights));

  // Nothing needs the image's gradient.
  if (conv.x == image_) return;
  Step data{group.name + " backward data"};
  const ConvPlaces dx{{gradient(conv.x)}, conv_weight(conv.weight), {gradient(conv.y)}, {}};
  data.reads = {dx.y.buffer, dx.weights.buffer};
  data.parameter_bytes = bytes_of({conv.weight});
  const bool accumulate = writes_gradient(data, conv.x);
  lower_backward_data(dnn_, shape, weight_desc(conv), dx, accumulate, program_, data,
                      recorded(data.name));
  emit(std::move(data));
}

void Lowering::stem_backward(const Group& group) {
  Step step{group.name + " norm.pool.backward"};
  const NormPlaces at = norm_places(group);
  const Place dweight = parameter_gradient(group.bn->weight);
  const Place dbias = parameter_gradient(group.bn->bias);
  const BufferId x = value(group.conv->y), y = value(group.out()), dy = gradient(group.out());
  const BufferId index = named_.at("maxpool index"), dx = gradient(group.conv->y);
  step.reads = {dy, y, index, x, at.mean, at.inverse_std};
  step.writes = {dx, dweight.buffer};
  step.parameter_bytes = 3 * bytes_of({group.bn->weight});
  const PoolMaps shape = pool_maps(*group.pool);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      cpu::stem_backward(StemBackward<T>{.dy = f.at<const T>(dy),
                                         .y = f.at<const T>(y),
                                         .index = f.at<const std::uint8_t>(index),
                                         .x = f.at<const T>(x),
                                         .mean = f.at<const float>(at.mean),
                                         .invstd = f.at<const float>(at.inverse_std),
                                         .gamma = at.weight.floats(f),
                                         .dx = f.at<T>(dx),
                                         .dgamma = dweight.floats(f),
                                         .dbeta = dbias.floats(f)},
                         shape, f.state->valid);
    };
  });
  emit(std::move(step));
}

void Lowering::pool_backward(const GlobalAvgPool& op) {
  Step step{"avgpool.backward"};
  const BufferId dy = gradient(op.y), dx = gradient(op.x);
  step.reads = {dy};
  writes_gradient(step, op.x);
  const Maps shape = maps_of(op.x);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return
        [=](const Frame& f) { average_pool_backward(f.at<const float>(dy), shape, f.at<T>(dx)); };
  });
  emit(std::move(step));
}

void Lowering::linear_backward(const std::string& name, const Linear& op) {
  Step step{name + ".backward"};
  // On a frozen backbone nothing needs the features' gradient.
  const bool needs_input = spec_.mode != Mode::heads;
  const BufferId x = value(op.x), y = value(op.y), dy = gradient(op.y);
  const BufferId dx = needs_input ? gradient(op.x) : -1;
  const Place weight = parameter(op.weight), dweight = parameter_gradient(op.weight),
              dbias = parameter_gradient(op.bias);
  step.reads = {dy, x, y, weight.buffer};
  step.writes = {dweight.buffer};
  step.parameter_bytes = 2 * bytes_of({op.weight, op.bias});
  step.flops = (needs_input ? 4.0 : 2.0) * spec_.batch * op.in * op.out;
  const Write write =
      needs_input && writes_gradient(step, op.x) ? Write::accumulate : Write::overwrite;
  const LinearShape shape{spec_.batch, op.in, op.out};
  const Activation activation = activation_of(op);
  step.run = [=](const Frame& f) {
    cpu::linear_backward({.dy = f.at<const float>(dy),
                          .y = f.at<const float>(y),
                          .x = f.at<const float>(x),
                          .w = weight.floats(f),
                          .activation = activation,
                          .dx = dx >= 0 ? f.at<float>(dx) : nullptr,
                          .dx_write = write,
                          .dw = dweight.floats(f),
                          .db = dbias.floats(f)},
                         shape);
  };
  emit(std::move(step));
}

void Lowering::update(const Adam& op) {
  Step step{"adam"};
  const BufferId weights = external(external::weights), gradients = external(external::gradients);
  const BufferId m = external(external::moment1), v = external(external::moment2);
  // Nobody reads the heads in 16 bit.
  const bool keeps_copy = type_ == DType::bf16 && spec_.mode == Mode::train;
  const BufferId copy = keeps_copy ? external(external::weights16) : -1;
  step.reads = {gradients};
  step.writes = {weights, m, v};
  if (copy >= 0) step.writes.push_back(copy);
  step.parameter_bytes = (copy >= 0 ? 30.0 : 28.0) * static_cast<double>(updated_.count);
  step.run = [=, begin = updated_.offset, end = updated_.offset + updated_.count](const Frame& f) {
    if (f.state->found_inf != 0) return;
    const math::AdamSettings settings{double{f.state->lr},     double{op.beta1},
                                      double{op.beta2},        double{op.eps},
                                      double{op.weight_decay}, op.decoupled};
    const auto factors =
        math::adam_factors<float>(settings, f.state->step, 1.0 / double{f.state->loss_scale});
    adam({f.at<float>(weights), f.at<const float>(gradients), f.at<float>(m), f.at<float>(v),
          copy >= 0 ? f.at<Bf16>(copy) : nullptr},
         begin, end, factors);
  };
  emit(std::move(step));
}

// Waits for the slices and makes the losses and found_inf those of the global batch.
void Lowering::finish_sums() {
  Step step = last_sum();
  step.run = [ranks = ranks_](const Frame& f) {
    ranks->finish_sums(f.stream);
    double sums[math::kStepSums];
    math::pack_step_sums(*f.state, sums);
    ranks->sum(sums, math::kStepSums, f.stream);
    math::unpack_step_sums(sums, *f.state);
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
    cpu::average(f.at<float>(mean), f.at<const float>(weights), 0, count, f.state->averaged);
  };
  emit(std::move(step));
}

}  // namespace affuse::cpu
