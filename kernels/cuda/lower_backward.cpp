// The backward half of a training step, from the loss's gradients to those of every weight.
// Gradients overwrite what their step read last, so the half needs hardly any memory of its own.
#include <functional>

#include "engine/error.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/head.h"
#include "kernels/cuda/lowering.h"
#include "kernels/cuda/norm.h"
#include "kernels/cuda/pool.h"
#include "kernels/cuda/stem.h"
#include "kernels/cuda/typed.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

// The one or two gradients that arrive at a value; the second is -1 where there is one.
std::pair<BufferId, BufferId> arrivals(const std::vector<BufferId>& sources,
                                       const std::string& name) {
  if (sources.empty() || sources.size() > 2)
    throw DeviceError(name + ": the CUDA backend adds one or two gradients of a value, not " +
                      std::to_string(sources.size()));
  return {sources[0], sources.size() == 2 ? sources[1] : -1};
}

}  // namespace

void Lowering::backward() {
  for (auto g = groups_.rbegin(); g != groups_.rend(); ++g) {
    if (!carries_gradients(*g)) continue;
    if (g->conv != nullptr) {
      g->pool != nullptr ? stem_backward(*g) : norm_backward(*g);
      weights_backward(*g);
      reduce(*g);
      if (g->conv->x != image_) data_backward(*g);  // nothing needs the image's gradient
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
      if (const auto* adam = std::get_if<affuse::Adam>(g.lone)) update(*adam);
}

// Two steps: the sums, which also add and mask the arriving gradients where somebody else needs
// that too, and the gradient of the convolution's output, written over the output itself.
void Lowering::norm_backward(const Group& group) {
  const NormPlaces at = norm_places(group);
  const auto [dy, dy2] = arrivals(gradients_[group.out()], group.name);
  const BufferId x = value(group.conv->y);
  const BufferId mask = group.relu != nullptr ? masks_.at(group.bn) : -1;
  const bool keeps_sum = group.add != nullptr || dy2 >= 0;
  const Place dweight = parameter_gradient(group.bn->weight),
              dbias = parameter_gradient(group.bn->bias);
  const Maps shape = maps_of(group.conv->y);
  const BufferId partial = scratch(group.name + " partial sums", bn_partial_bytes(shape));
  const auto fill = [=, dy = dy, dy2 = dy2](const Frame& f, auto* tag) {
    using T = Pointee<decltype(tag)>;
    return BnBackward<T>{.dy = f.at<const T>(dy),
                         .dy2 = dy2 >= 0 ? f.at<const T>(dy2) : nullptr,
                         .mask = mask >= 0 ? f.at<const std::uint8_t>(mask) : nullptr,
                         .x = f.at<const T>(x),
                         .mean = at.mean.at<const float>(f),
                         .invstd = f.at<const float>(at.inverse_std),
                         .gamma = at.weight.at<const float>(f),
                         .partial = f.at<void>(partial),
                         .g = keeps_sum ? f.at<T>(dy) : nullptr,
                         .dgamma = dweight.at<float>(f),
                         .dbeta = dbias.at<float>(f),
                         .dx = f.at<T>(x),
                         .state = f.state};
  };

  Step sums{group.name + " norm.sums"};
  (keeps_sum ? sums.accumulates : sums.reads) = {dy};
  sums.reads.push_back(x);
  if (dy2 >= 0) sums.reads.push_back(dy2);
  if (mask >= 0) sums.reads.push_back(mask);
  sums.reads.insert(sums.reads.end(), {at.mean.buffer, at.inverse_std});
  sums.writes = {dweight.buffer};
  sums.scratch = {partial};
  sums.parameter_bytes = 2 * bytes_of({group.bn->weight});
  sums.run = typed(type_, [=](auto* tag) {
    return [=](const Frame& f) { bn_backward_sums(fill(f, tag), shape, f.stream); };
  });
  emit(std::move(sums));

  Step apply{group.name + " norm.backward"};
  apply.reads = {dy};
  if (mask >= 0 && !keeps_sum) apply.reads.push_back(mask);
  apply.reads.insert(apply.reads.end(), {at.mean.buffer, at.inverse_std, dweight.buffer});
  apply.accumulates = {x};
  apply.parameter_bytes = 3 * bytes_of({group.bn->weight});
  apply.run = typed(type_, [=](auto* tag) {
    return [=](const Frame& f) { bn_backward_apply(fill(f, tag), shape, f.stream); };
  });
  emit(std::move(apply));
  if (group.add != nullptr) gradients_[group.residual()].push_back(dy);
}

void Lowering::stem_backward(const Group& group) {
  const NormPlaces at = norm_places(group);
  const auto [dy, dy2] = arrivals(gradients_[group.out()], group.name);
  const BufferId x = value(group.conv->y), y = value(group.out());
  const BufferId index = named_.at("maxpool index");
  const Place dweight = parameter_gradient(group.bn->weight),
              dbias = parameter_gradient(group.bn->bias);
  const PoolMaps shape = pool_maps(*group.pool);
  const BufferId partial = scratch(group.name + " partial sums", stem_partial_bytes(shape));
  const auto fill = [=, dy = dy, dy2 = dy2](const Frame& f, auto* tag) {
    using T = Pointee<decltype(tag)>;
    return StemBackward<T>{.dy = f.at<const T>(dy),
                           .dy2 = dy2 >= 0 ? f.at<const T>(dy2) : nullptr,
                           .y = f.at<const T>(y),
                           .index = f.at<const std::uint8_t>(index),
                           .x = f.at<const T>(x),
                           .mean = at.mean.at<const float>(f),
                           .invstd = f.at<const float>(at.inverse_std),
                           .gamma = at.weight.at<const float>(f),
                           .beta = at.bias.at<const float>(f),
                           .partial = f.at<void>(partial),
                           .g = dy2 >= 0 ? f.at<T>(dy) : nullptr,
                           .dgamma = dweight.at<float>(f),
                           .dbeta = dbias.at<float>(f),
                           .dx = f.at<T>(x),
                           .state = f.state};
  };

  // Channels of a tiny gamma read x as well; the byte count leaves that exception out.
  Step sums{group.name + " norm.pool.sums"};
  (dy2 >= 0 ? sums.accumulates : sums.reads) = {dy};
  sums.reads.push_back(y);
  if (dy2 >= 0) sums.reads.push_back(dy2);
  sums.reads.insert(sums.reads.end(), {index, at.mean.buffer, at.inverse_std});
  sums.writes = {dweight.buffer};
  sums.scratch = {partial};
  sums.parameter_bytes = 4 * bytes_of({group.bn->weight});
  sums.run = typed(type_, [=](auto* tag) {
    return [=](const Frame& f) { stem_backward_sums(fill(f, tag), shape, f.stream); };
  });
  emit(std::move(sums));

  Step apply{group.name + " norm.pool.backward"};
  apply.reads = {dy, index, at.mean.buffer, at.inverse_std, dweight.buffer};
  apply.accumulates = {x};
  apply.parameter_bytes = 3 * bytes_of({group.bn->weight});
  apply.run = typed(type_, [=](auto* tag) {
    return [=](const Frame& f) { stem_backward_apply(fill(f, tag), shape, f.stream); };
  });
  emit(std::move(apply));
}

// cuDNN gives weight gradients in the type of the activations; 16-bit ones are widened.
void Lowering::weights_backward(const Group& group) {
  const Conv& conv = *group.conv;
  const Slot& slot = layout_.slots[static_cast<std::size_t>(conv.weight)];
  const Place gradient = parameter_gradient(conv.weight);
  const BufferId x = value(conv.x), dy = value(conv.y);
  const bool narrow = type_ != DType::f32;
  Step step{group.name + " backward weights"};
  step.reads = {x, dy};
  Place dw = gradient;
  if (narrow)
    dw = {program_.add("d " + group.name + ".weight",
                       TensorDesc::dense({static_cast<std::int64_t>(slot.count)}, type_)),
          0};
  step.writes = {dw.buffer};
  step.parameter_bytes = narrow ? 0 : bytes_of({conv.weight});
  BufferId workspace = -1;
  const auto chosen = convolution(step, problem(conv, ConvKind::weights), workspace);
  step.run = [=](const Frame& f) {
    chosen->run({f.at<void>(x), dw.at<void>(f), f.at<void>(dy),
                 workspace >= 0 ? f.at<void>(workspace) : nullptr},
                f.stream);
  };
  emit(std::move(step));
  if (!narrow) return;
  Step wide{group.name + " widen weights"};
  wide.reads = {dw.buffer};
  wide.writes = {gradient.buffer};
  wide.parameter_bytes = bytes_of({conv.weight});
  const std::size_t count = slot.count;
  wide.run = typed16(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return
        [=](const Frame& f) { widen(dw.at<const T>(f), gradient.at<float>(f), count, f.stream); };
  });
  emit(std::move(wide));
}

void Lowering::data_backward(const Group& group) {
  const Conv& conv = *group.conv;
  auto& sources = gradients_[conv.x];
  const BufferId dx =
      program_.add("d " + graph_.at(conv.x).name + (sources.empty() ? "" : " from " + group.name),
                   maps(graph_.at(conv.x).shape));
  sources.push_back(dx);
  Step step{group.name + " backward data"};
  const BufferId dy = value(conv.y);
  const Place w = conv_weight(conv.weight);
  step.reads = {dy, w.buffer};
  step.writes = {dx};
  step.parameter_bytes = bytes_of({conv.weight}) / 4 * static_cast<double>(size_of(type_));
  BufferId workspace = -1;
  const auto chosen = convolution(step, problem(conv, ConvKind::data), workspace);
  step.run = [=](const Frame& f) {
    chosen->run({f.at<void>(dx), w.at<void>(f), f.at<void>(dy),
                 workspace >= 0 ? f.at<void>(workspace) : nullptr},
                f.stream);
  };
  emit(std::move(step));
}

void Lowering::pool_backward(const GlobalAvgPool& op) {
  Step step{"avgpool.backward"};
  const BufferId dy = gradients_[op.y].at(0);
  const BufferId dx = program_.add("d " + graph_.at(op.x).name, maps(graph_.at(op.x).shape));
  gradients_[op.x].push_back(dx);
  step.reads = {dy};
  step.writes = {dx};
  const Maps shape = maps_of(op.x);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      average_pool_backward(f.at<const float>(dy), shape, f.at<T>(dx), f.stream);
    };
  });
  emit(std::move(step));
}

// The heads' gradients of the features are added by the products themselves. On a frozen backbone
// nothing needs them.
void Lowering::linear_backward(const std::string& name, const Linear& op) {
  Step step{name + ".backward"};
  const BufferId x = value(op.x), y = value(op.y), dy = gradients_[op.y].at(0);
  const Place weight = parameter(op.weight), dweight = parameter_gradient(op.weight),
              dbias = parameter_gradient(op.bias);
  step.reads = {x, y, weight.buffer};
  step.writes = {dweight.buffer};
  step.accumulates = {dy};
  const bool needs_input = spec_.mode != Mode::heads;
  auto& sources = gradients_[op.x];
  const bool first = sources.empty();
  BufferId dx = -1;
  if (needs_input) {
    if (first)
      sources.push_back(program_.add("d " + graph_.at(op.x).name, maps(graph_.at(op.x).shape)));
    dx = sources.front();
    (first ? step.writes : step.accumulates).push_back(dx);
  }
  step.parameter_bytes = 2 * bytes_of({op.weight, op.bias});
  step.flops = (needs_input ? 4.0 : 2.0) * spec_.batch * op.in * op.out;
  const int n = spec_.batch, out = op.out;
  const auto to_weights =
      vendor_.product(step.name, {.m = op.out, .n = op.in, .k = n, .transpose_a = true});
  const auto to_input =
      vendor_.product(step.name, {.m = n, .n = op.in, .k = op.out, .beta = first ? 0.f : 1.f});
  step.engine = to_weights->engine();
  const BufferId workspace =
      scratch(step.name + " workspace",
              std::max(to_weights->workspace_bytes(), to_input->workspace_bytes()));
  step.scratch = {workspace};
  const bool tanh = op.activation == Activation::tanh;
  step.run = [=](const Frame& f) {
    auto* d = f.at<float>(dy);
    bias_activation_backward(d, f.at<const float>(y), n, out, tanh, d, dbias.at<float>(f),
                             f.stream);
    to_weights->run(d, f.at<const float>(x), dweight.at<float>(f), f.at<void>(workspace), f.stream);
    if (dx >= 0)
      to_input->run(d, weight.at<const float>(f), f.at<float>(dx), f.at<void>(workspace), f.stream);
  };
  emit(std::move(step));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
