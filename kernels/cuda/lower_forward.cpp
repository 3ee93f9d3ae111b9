// The forward half of training, of SWA's statistics pass and of evaluation.
#include <algorithm>

#include "engine/error.h"
#include "kernels/cuda/augment.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/head.h"
#include "kernels/cuda/lowering.h"
#include "kernels/cuda/mixup.h"
#include "kernels/cuda/norm.h"
#include "kernels/cuda/pool.h"
#include "kernels/cuda/stem.h"
#include "kernels/cuda/typed.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

void Lowering::forward() {
  round_weights();
  for (const Group& g : groups_) {
    if (g.conv != nullptr) {
      conv(g);
      running_norm() ? running_inverse_std(g) : statistics(g);
      g.pool != nullptr ? stem(g) : norm_act(g);
      continue;
    }
    std::visit(overload{[&](const Augment& op) { augment(op); },
                        [&](const Mixup& op) {
                          if (trains()) mixup(op);
                        },
                        [&](const GlobalAvgPool& op) { pool(op); },
                        [&](const Linear& op) { linear(g.name, op); },
                        [&](const affuse::AffectLoss& op) {
                          if (spec_.mode != Mode::statistics) loss(op);
                        },
                        // The tail of the step is lowered behind the gradients.
                        [](const AllReduce&) {}, [](const affuse::Adam&) {}, [](const Average&) {},
                        [&](const auto&) {
                          throw DeviceError(g.name +
                                            ": the CUDA backend knows this operation only behind "
                                            "a convolution");
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
                        TensorDesc::dense({static_cast<std::int64_t>(count)}, type_), Life::held);
    named_["rounded weights"] = copy;
  }
  const BufferId weights = external(external::weights);
  step.reads = {weights};
  step.writes = {copy};
  step.parameter_bytes = 4.0 * static_cast<double>(count);
  step.run = typed16(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return
        [=](const Frame& f) { narrow(f.at<const float>(weights), f.at<T>(copy), count, f.stream); };
  });
  emit(std::move(step));
}

void Lowering::augment(const Augment& op) {
  const Shape& image = graph_.at(op.y).shape;
  const int h = static_cast<int>(image[1]), w = static_cast<int>(image[2]), n = spec_.batch;
  Step step{"augment"};
  const BufferId pixels = input(io::images, {n, h, w, 3}, DType::u8);
  const BufferId params =
      input(io::augment, {n, static_cast<std::int64_t>(sizeof(math::AugmentParams))}, DType::u8);
  image_ = op.y;
  const BufferId y = value(op.y);
  const BufferId grey = scratch("grey means", static_cast<std::size_t>(n) * sizeof(float));
  step.reads = {pixels, params};
  step.writes = {y};
  step.scratch = {grey};
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      AugmentBatch<T> a{.images = f.at<const std::uint8_t>(pixels),
                        .params = f.at<const math::AugmentParams>(params),
                        .n = n,
                        .h = h,
                        .w = w,
                        .mean = {},
                        .std = {},
                        .grey_mean = f.at<float>(grey),
                        .y = f.at<T>(y),
                        .state = f.state};
      std::copy(op.mean, op.mean + 3, a.mean);
      std::copy(op.std, op.std + 3, a.std);
      AFFUSE_CUDA_NAMESPACE::augment(a, f.stream);
    };
  });
  emit(std::move(step));
}

void Lowering::mixup(const Mixup& op) {
  Step step{"mixup"};
  const BufferId x = value(op.x);
  step.accumulates = {x};
  const int n = spec_.batch;
  const std::size_t elements = stored_elements(op.x);
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      AFFUSE_CUDA_NAMESPACE::mixup(
          MixupBatch<T>{.x = f.at<T>(x), .n = n, .elements = elements, .state = f.state}, f.stream);
    };
  });
  emit(std::move(step));
}

std::shared_ptr<const Convolution> Lowering::convolution(Step& step, const ConvProblem& problem,
                                                         BufferId& workspace) {
  auto chosen = vendor_.convolution(step.name, problem, spec_.workspace_bytes, recorded(step.name));
  step.engine = chosen->engine();
  step.flops = problem.flops();
  workspace = -1;
  if (chosen->workspace_bytes() > 0) {
    workspace = scratch(step.name + " workspace", chosen->workspace_bytes());
    step.scratch.push_back(workspace);
  }
  return chosen;
}

void Lowering::conv(const Group& group) {
  Step step{group.name + " forward"};
  const BufferId x = value(group.conv->x), y = value(group.conv->y);
  const Place w = conv_weight(group.conv->weight);
  step.reads = {x, w.buffer};
  step.writes = {y};
  step.parameter_bytes = bytes_of({group.conv->weight}) / 4 * static_cast<double>(size_of(type_));
  BufferId workspace = -1;
  const auto chosen = convolution(step, problem(*group.conv, ConvKind::forward), workspace);
  step.run = [=](const Frame& f) {
    chosen->run({f.at<void>(x), w.at<void>(f), f.at<void>(y),
                 workspace >= 0 ? f.at<void>(workspace) : nullptr},
                f.stream);
  };
  emit(std::move(step));
}

void Lowering::statistics(const Group& group) {
  Step step{group.name + " statistics"};
  const NormPlaces at = norm_places(group);
  const BufferId x = value(group.conv->y);
  const Maps shape = maps_of(group.conv->y);
  const BufferId partial = scratch(group.name + " partial sums", bn_partial_bytes(shape));
  step.reads = {x};
  step.writes = {at.mean.buffer, at.inverse_std, at.running_mean.buffer};
  step.scratch = {partial};
  step.parameter_bytes = 4 * bytes_of({group.bn->weight});
  const float eps = group.bn->eps;
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      bn_statistics(BnStatistics<T>{.x = f.at<const T>(x),
                                    .eps = eps,
                                    .partial = f.at<void>(partial),
                                    .mean = at.mean.at<float>(f),
                                    .invstd = f.at<float>(at.inverse_std),
                                    .running_mean = at.running_mean.at<float>(f),
                                    .running_var = at.running_var.at<float>(f),
                                    .state = f.state},
                    shape, f.stream);
    };
  });
  emit(std::move(step));
}

// The running statistics change only with the parameters, not from batch to batch.
void Lowering::running_inverse_std(const Group& group) {
  Step step{group.name + " inverse std"};
  step.once = true;
  const NormPlaces at = norm_places(group);
  step.reads = {at.running_var.buffer};
  step.writes = {at.inverse_std};
  step.parameter_bytes = bytes_of({group.bn->weight});
  const int channels = group.conv->out;
  const float eps = group.bn->eps;
  step.run = [=](const Frame& f) {
    bn_invstd(at.running_var.at<const float>(f), channels, eps, f.at<float>(at.inverse_std),
              f.stream);
  };
  emit(std::move(step));
}

void Lowering::norm_act(const Group& group) {
  Step step{group.name + " norm"};
  const NormPlaces at = norm_places(group);
  const BufferId x = value(group.conv->y), y = value(group.out());
  const BufferId residual = group.add != nullptr ? value(group.residual()) : -1;
  const Maps shape = maps_of(group.conv->y);
  const bool relu = group.relu != nullptr;
  step.reads = {x, at.mean.buffer, at.inverse_std, at.weight.buffer};
  if (residual >= 0) step.reads.insert(step.reads.begin() + 1, residual);
  step.writes = {y};
  BufferId mask = -1;
  if (relu && spec_.mode == Mode::train) {
    mask = scratch(group.name + " mask", mask_bytes(shape));
    masks_[group.bn] = mask;
    step.writes.push_back(mask);
  }
  step.parameter_bytes = 2 * bytes_of({group.bn->weight});
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      bn_apply(BnApply<T>{.x = f.at<const T>(x),
                          .mean = at.mean.at<const float>(f),
                          .invstd = f.at<const float>(at.inverse_std),
                          .gamma = at.weight.at<const float>(f),
                          .beta = at.bias.at<const float>(f),
                          .residual = residual >= 0 ? f.at<const T>(residual) : nullptr,
                          .relu = relu,
                          .y = f.at<T>(y),
                          .mask = mask >= 0 ? f.at<std::uint8_t>(mask) : nullptr},
               shape, f.stream);
    };
  });
  emit(std::move(step));
}

// Batch norm, ReLU and max-pool in one pass: the full-resolution activation is never stored.
void Lowering::stem(const Group& group) {
  Step step{group.name + " norm.pool"};
  const NormPlaces at = norm_places(group);
  const BufferId x = value(group.conv->y), y = value(group.out());
  const PoolMaps shape = pool_maps(*group.pool);
  step.reads = {x, at.mean.buffer, at.inverse_std, at.weight.buffer};
  step.writes = {y};
  BufferId index = -1;
  if (spec_.mode == Mode::train) {
    index = program_.add("maxpool index",
                         TensorDesc::dense(graph_.at(group.out()).shape.batched(spec_.batch),
                                           DType::u8, Layout::nhwc));
    named_["maxpool index"] = index;
    step.writes.push_back(index);
  }
  step.parameter_bytes = 2 * bytes_of({group.bn->weight});
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      stem_apply(StemApply<T>{.x = f.at<const T>(x),
                              .mean = at.mean.at<const float>(f),
                              .invstd = f.at<const float>(at.inverse_std),
                              .gamma = at.weight.at<const float>(f),
                              .beta = at.bias.at<const float>(f),
                              .y = f.at<T>(y),
                              .index = index >= 0 ? f.at<std::uint8_t>(index) : nullptr},
                 shape, f.stream);
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
    return [=](const Frame& f) {
      average_pool_forward(f.at<const T>(x), shape, f.at<float>(y), f.stream);
    };
  });
  emit(std::move(step));
}

// y = activation(x W^T + b): the product by the library, the rest in place.
void Lowering::linear(const std::string& name, const Linear& op) {
  Step step{name};
  const BufferId x = value(op.x), y = value(op.y);
  const Place weight = parameter(op.weight), bias = parameter(op.bias);
  step.reads = {x, weight.buffer};
  step.writes = {y};
  step.parameter_bytes = bytes_of({op.weight, op.bias});
  step.flops = 2.0 * spec_.batch * op.in * op.out;
  const auto product =
      vendor_.product(name, {.m = spec_.batch, .n = op.out, .k = op.in, .transpose_b = true});
  step.engine = product->engine();
  const BufferId workspace = scratch(name + " workspace", product->workspace_bytes());
  step.scratch = {workspace};
  const int n = spec_.batch, out = op.out;
  const bool tanh = op.activation == Activation::tanh;
  step.run = [=](const Frame& f) {
    product->run(f.at<const float>(x), weight.at<const float>(f), f.at<float>(y),
                 f.at<void>(workspace), f.stream);
    bias_activation(f.at<float>(y), bias.at<const float>(f), n, out, tanh, f.stream);
  };
  emit(std::move(step));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
