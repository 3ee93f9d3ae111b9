// Evaluation, and the frozen backbone: batch norm folded into the convolutions' weights, which are
// prepared once.
#include "engine/error.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/lowering.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/typed.h"

namespace affuse::cpu {

void Lowering::evaluation() {
  fold_weights();
  for (const Group& g : groups_) {
    if (g.conv != nullptr) {
      folded(g);
      continue;
    }
    std::visit(overload{[&](const Augment& op) { augment(op); },
                        [&](const Mixup& op) {
                          if (trains()) mixup(op);
                        },
                        [&](const GlobalAvgPool& op) { pool(op); },
                        [&](const Linear& op) { linear(g.name, op); },
                        [&](const AffectLoss& op) { loss(op); }, [](const AllReduce&) {},
                        [](const Adam&) {}, [](const Average&) {},
                        [&](const auto&) {
                          throw DeviceError(g.name +
                                            ": the CPU backend knows this operation only "
                                            "behind a convolution");
                        }},
               *g.lone);
  }
}

// w' = w gamma / sqrt(var + eps) and bias' = beta - mean gamma / sqrt(var + eps), for all units.
void Lowering::fold_weights() {
  const auto total = static_cast<std::int64_t>(layout_.weights);
  const BufferId folded =
      program_.add("folded weights", TensorDesc::dense({total}, DType::f32), Life::held);
  named_["folded weights"] = folded;
  for (const Group& g : groups_)
    if (g.conv != nullptr) fold_unit(g, folded);
  if (type_ == DType::f32) return;
  const BufferId rounded =
      program_.add("rounded weights", TensorDesc::dense({total}, DType::bf16), Life::held);
  named_["rounded weights"] = rounded;
  Step step{"round weights"};
  step.once = true;
  step.reads = {folded};
  step.writes = {rounded};
  step.run = [=](const Frame& f) {
    convert(f.at<const float>(folded), f.at<Bf16>(rounded), static_cast<std::size_t>(total));
  };
  emit(std::move(step));
}

void Lowering::fold_unit(const Group& group, BufferId folded) {
  Step step{group.name + " fold"};
  step.once = true;
  const affuse::BatchNorm& bn = *group.bn;
  const Place weight = parameter(group.conv->weight), gamma = parameter(bn.weight),
              beta = parameter(bn.bias), mean = parameter(bn.running_mean),
              var = parameter(bn.running_var);
  const Place out{folded, weight.offset}, bias{folded, beta.offset};
  const BufferId scale = channels(group.name + " scale", group.conv->out);
  step.reads = {weight.buffer, mean.buffer};
  step.writes = {folded};
  step.scratch = {scale};
  step.parameter_bytes = bytes_of({group.conv->weight, bn.weight, bn.bias});
  const int c = group.conv->out;
  const std::vector<std::int32_t> channel = channel_of_weight(*group.conv);
  step.run = [=, eps = bn.eps](const Frame& f) {
    auto* factor = f.at<float>(scale);
    fold_bn(gamma.floats(f), beta.floats(f), mean.floats(f), var.floats(f), c, eps, factor,
            bias.floats(f));
    const float* w = weight.floats(f);
    float* folded_w = out.floats(f);
    for (std::size_t i = 0; i < channel.size(); ++i)
      folded_w[i] = w[i] * factor[static_cast<std::size_t>(channel[i])];
  };
  emit(std::move(step));
}

// The output channel of each stored weight, whatever order oneDNN keeps them in: packed like a
// weight whose values are channel numbers.
std::vector<std::int32_t> Lowering::channel_of_weight(const Conv& conv) const {
  const std::size_t each = static_cast<std::size_t>(conv.in * conv.kernel * conv.kernel);
  std::vector<float> plain(static_cast<std::size_t>(conv.out) * each);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const std::size_t channel = i / each;
    plain[i] = static_cast<float>(channel);
  }
  const Slot& slot = layout_.slots[static_cast<std::size_t>(conv.weight)];
  std::vector<float> stored(slot.count);
  pack_weights(dnn_, {conv.out, conv.in, conv.kernel, conv.kernel}, weight_desc(conv), plain.data(),
               stored.data());
  return {stored.begin(), stored.end()};
}

void Lowering::folded(const Group& group) {
  const Conv& op = *group.conv;
  const bool fused_relu = group.relu != nullptr && group.add == nullptr;
  const ValueId out = group.activation();
  Step step{group.name + " folded"};
  const std::size_t offset = layout_.slots[static_cast<std::size_t>(op.weight)].offset;
  const Place weights = type_ == DType::bf16 ? Place{named_.at("rounded weights"), 2 * offset}
                                             : Place{named_.at("folded weights"), 4 * offset};
  const Place bias{named_.at("folded weights"), parameter(group.bn->bias).offset};
  const ConvPlaces places{{value(op.x)}, weights, {value(out)}, bias};
  step.reads = {places.x.buffer, weights.buffer, bias.buffer};
  step.writes = {places.y.buffer};
  lower_forward(dnn_, problem(op), weight_desc(op), places, true, fused_relu, program_, step,
                recorded(step.name));
  emit(std::move(step));
  if (group.add != nullptr) add_residual(group);
  if (group.pool != nullptr) max_pool(*group.pool);
}

// y = y + residual, then ReLU, in place.
void Lowering::add_residual(const Group& group) {
  Step step{group.name + " add"};
  const BufferId y = value(group.out()), residual = value(group.residual());
  step.reads = {residual};
  step.accumulates = {y};
  const std::size_t count = maps_of(group.conv->y).size();
  const bool relu = group.relu != nullptr;
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) { add_relu(f.at<const T>(residual), f.at<T>(y), count, relu); };
  });
  emit(std::move(step));
}

// Evaluation keeps the full-resolution map: ReLU is in the convolution, only the maximum is left.
void Lowering::max_pool(const MaxPool& op) {
  Step step{"maxpool"};
  const BufferId x = value(op.x), y = value(op.y);
  const PoolMaps shape = pool_maps(op);
  const BufferId index = program_.add(
      "maxpool index",
      TensorDesc::dense(graph_.at(op.y).shape.batched(spec_.batch), DType::u8, dnn_.layout()));
  step.reads = {x};
  step.writes = {y};
  step.scratch = {index};
  step.run = typed(type_, [=](auto* tag) {
    using T = Pointee<decltype(tag)>;
    return [=](const Frame& f) {
      max_pool_forward(f.at<const T>(x), shape, f.at<T>(y), f.at<std::uint8_t>(index));
    };
  });
  emit(std::move(step));
}

}  // namespace affuse::cpu
