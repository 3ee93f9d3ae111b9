// The forward half of training, and of SWA's statistics pass.
#include "engine/error.h"
#include "kernels/cpu/augment.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/lowering.h"
#include "kernels/cpu/mixup.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/stem.h"
#include "kernels/cpu/typed.h"

namespace affuse::cpu {
namespace {

void update_running(const Frame& f, const NormPlaces& at, const Maps& shape) {
  bn_update_running(f.at<const float>(at.mean), f.at<const float>(at.var), shape.c,
                    std::int64_t{f.state->valid} * shape.hw, f.state->bn_momentum,
                    at.running_mean.floats(f), at.running_var.floats(f));
}

}  // namespace

void Lowering::forward() {
  round_weights();
  for (const Group& g : groups_) {
    if (g.conv != nullptr) {
      conv(g);
      g.pool != nullptr ? stem(g) : norm_act(g);
      continue;
    }
    std::visit(overload{[&](const Augment& op) { augment(op); },
                        [&](const Mixup& op) {
                          if (trains()) mixup(op);
                        },
                        [&](const GlobalAvgPool& op) { pool(op); },
                        [&](const Linear& op) { linear(g.name, op); },
                        [&](const AffectLoss& op) {
                          if (spec_.mode == Mode::train) loss(op);
                        },
                        // The tail of the step is lowered behind the gradients.
                        [](const AllReduce&) {}, [](const Adam&) {}, [](const Average&) {},
                        [&](const auto&) {
                          throw DeviceError(g.name +
                                            ": the CPU backend knows this operation only "
                                            "behind a convolution");
                        }},
               *g.lone);
  }
}

// The 16-bit copy of all weights; Adam keeps it current, so training needs this only at its start.
void Lowering::round_weights() {
  if (type_ == DType::f32) return;
  Step step{"round weights"};
  step.once = true;
  const std::size_t count = layout_.weights;
  BufferId copy = -1;
  if (spec_.mode == Mode::train) {
    copy = external(external::weights16);
  } else {
    copy = program_.add("rounded weights",
                        TensorDesc::dense({static_cast<std::int64_t>(count)}, DType::bf16),
                        Life::held);
    named_["rounded weights"] = copy;
  }
  step.reads = {external(external::weights)};
  step.writes = {copy};
  step.parameter_bytes = 4.0 * static_cast<double>(count);
  step.run = [from = step.reads[0], copy, count](const Frame& f) {
    convert(f.at<const float>(from), f.at<Bf16>(copy), count);
  };
  emit(std::move(step));
}

void Lowering::augment(const Augment& op) {
  const Shape& image = graph_.at(op.y).shape;
  const int h = static_cast<int>(image[1]), w = static_cast<int>(image[2]), n = spec_.batch;
  Step step{"augment"};
  const BufferId pixels = input(io::images, {n, h, w, 3}, DType::u8);
  const BufferId params = program_.add(
      io::augment,
      TensorDesc::dense({n, static_cast<std::int64_t>(sizeof(math::AugmentParams))}, DType::u8),
      Life::input);
  image_ = op.y;
  const BufferId y = value(op.y);
  const std::size_t bytes = augment_scratch_bytes(h, w, max_threads());
  const BufferId scratch = program_.add(
      "augment scratch", TensorDesc::dense({static_cast<std::int64_t>(bytes)}, DType::u8));
  step.reads = {pixels, params};
  step.writes = {y};
  step.scratch = {scratch};
  Normalisation norm{};
  std::copy(op.mean, op.mean + 3, norm.mean);
  std::copy(op.std, op.std + 3, norm.std);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      augment_batch(f.at<const std::uint8_t>(pixels), f.at<const math::AugmentParams>(params),
                    {n, f.state->valid, h, w}, norm, DstLayout::nchw, f.at<T>(y),
                    {f.at<std::byte>(scratch), bytes});
    };
  });
  emit(std::move(step));
}

void Lowering::mixup(const Mixup& op) {
  Step step{"mixup"};
  const BufferId x = value(op.x);
  step.accumulates = {x};
  const std::size_t elements = stored_elements(op.x);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) { cpu::mixup(f.at<T>(x), elements, f.state->valid, f.state->mix); };
  });
  emit(std::move(step));
}

void Lowering::conv(const Group& group) {
  Step step{group.name + " forward"};
  const ConvPlaces places{
      {value(group.conv->x)}, conv_weight(group.conv->weight), {value(group.conv->y)}, {}};
  step.reads = {places.x.buffer, places.weights.buffer};
  step.writes = {places.y.buffer};
  step.parameter_bytes = bytes_of({group.conv->weight});
  lower_forward(dnn_, problem(*group.conv), weight_desc(*group.conv), places, false, false,
                program_, step, recorded(step.name));
  emit(std::move(step));
}

void Lowering::norm_act(const Group& group) {
  Step step{group.name + " norm"};
  const NormPlaces at = norm_places(group);
  const BufferId x = value(group.conv->y), y = value(group.out());
  const BufferId residual = group.add != nullptr ? value(group.residual()) : -1;
  step.reads = {x, at.weight.buffer};
  if (residual >= 0) step.reads.push_back(residual);
  step.writes = {y, at.mean, at.var, at.inverse_std, at.running_mean.buffer};
  step.parameter_bytes = 6 * bytes_of({group.bn->weight});
  const Maps shape = maps_of(group.conv->y);
  const bool relu = group.relu != nullptr;
  const float eps = group.bn->eps;
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      bn_forward(BnForward<T>{.x = f.at<const T>(x),
                              .gamma = at.weight.floats(f),
                              .beta = at.bias.floats(f),
                              .residual = residual >= 0 ? f.at<const T>(residual) : nullptr,
                              .relu = relu,
                              .eps = eps,
                              .y = f.at<T>(y),
                              .mean = f.at<float>(at.mean),
                              .var = f.at<float>(at.var),
                              .invstd = f.at<float>(at.inverse_std)},
                 shape, f.state->valid);
      update_running(f, at, shape);
    };
  });
  emit(std::move(step));
}

// Batch norm, ReLU and max-pool in one pass: the full-resolution activation is never stored.
void Lowering::stem(const Group& group) {
  Step step{group.name + " norm.pool"};
  const NormPlaces at = norm_places(group);
  const BufferId x = value(group.conv->y), y = value(group.out());
  const BufferId index = program_.add(
      "maxpool index", TensorDesc::dense(graph_.at(group.out()).shape.batched(spec_.batch),
                                         DType::u8, dnn_.layout()));
  named_["maxpool index"] = index;
  step.reads = {x, at.weight.buffer};
  step.writes = {y, index, at.mean, at.var, at.inverse_std, at.running_mean.buffer};
  step.parameter_bytes = 6 * bytes_of({group.bn->weight});
  const PoolMaps shape = pool_maps(*group.pool);
  const float eps = group.bn->eps;
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      stem_forward(StemForward<T>{.x = f.at<const T>(x),
                                  .gamma = at.weight.floats(f),
                                  .beta = at.bias.floats(f),
                                  .eps = eps,
                                  .y = f.at<T>(y),
                                  .index = f.at<std::uint8_t>(index),
                                  .mean = f.at<float>(at.mean),
                                  .var = f.at<float>(at.var),
                                  .invstd = f.at<float>(at.inverse_std)},
                   shape, f.state->valid);
      update_running(f, at, shape.in());
    };
  });
  emit(std::move(step));
}

void Lowering::pool(const GlobalAvgPool& op) {
  Step step{"avgpool"};
  const BufferId x = value(op.x), y = value(op.y);
  step.reads = {x};
  step.writes = {y};
  const Maps shape = maps_of(op.x);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) { average_pool_forward(f.at<const T>(x), shape, f.at<float>(y)); };
  });
  emit(std::move(step));
}

void Lowering::linear(const std::string& name, const Linear& op) {
  Step step{name};
  const BufferId x = value(op.x), y = value(op.y);
  const Place weight = parameter(op.weight), bias = parameter(op.bias);
  step.reads = {x, weight.buffer};
  step.writes = {y};
  step.parameter_bytes = bytes_of({op.weight, op.bias});
  step.flops = 2.0 * spec_.batch * op.in * op.out;
  const LinearShape shape{spec_.batch, op.in, op.out};
  const Activation activation = activation_of(op);
  step.run = [=](const Frame& f) {
    linear_forward(f.at<const float>(x), weight.floats(f), bias.floats(f), shape, activation,
                   f.at<float>(y));
  };
  emit(std::move(step));
}

}  // namespace affuse::cpu
