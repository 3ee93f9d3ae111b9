#include "kernels/cpu/lowering.h"

#include <utility>

#include "engine/error.h"

namespace affuse::cpu {
namespace {

DType stored_type(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return DType::f32;
    case Precision::bf16:
      return DType::bf16;
    default:
      throw DeviceError("train.precision=" + name_of(precision) +
                        " needs CUDA; the CPU backend computes in fp32 or bf16");
  }
}

}  // namespace

Lowering::Lowering(const OneDnn& dnn, const Graph& graph, const LowerSpec& spec,
                   const ParameterLayout& layout, const WeightDescs& weights,
                   const EngineChoices* recorded, std::shared_ptr<Communicator> ranks)
    : LoweringBase(graph, spec, layout, recorded, std::move(ranks), stored_type(spec.precision)),
      dnn_(dnn),
      weights_(weights) {}

Program Lowering::take() {
  switch (spec_.mode) {
    case Mode::train:
      forward();
      backward();
      break;
    case Mode::statistics:
      forward();
      break;
    case Mode::eval:
      evaluation();
      break;
    case Mode::average:
      average();
      break;
    case Mode::heads:
      evaluation();
      backward();
      break;
  }
  return std::move(program_);
}

TensorDesc Lowering::maps(const Shape& sample) const {
  if (sample.rank() == 1) return TensorDesc::dense(sample.batched(spec_.batch), DType::f32);
  const Layout layout = sample[0] % dnn_.block == 0 ? dnn_.layout() : Layout::plain;
  return TensorDesc::dense(sample.batched(spec_.batch), type_, layout);
}

BufferId Lowering::gradient(ValueId id) {
  const auto [it, fresh] = gradients_.try_emplace(id, -1);
  if (fresh) it->second = program_.add("d " + graph_.at(id).name, maps(graph_.at(id).shape));
  return it->second;
}

BufferId Lowering::channels(const std::string& name, int count, Life life) {
  return program_.add(name, TensorDesc::dense({count}, DType::f32), life);
}

ConvProblem Lowering::problem(const Conv& conv) const {
  const Shape& x = graph_.at(conv.x).shape;
  return ConvProblem{
      spec_.batch, conv.in,  conv.out, static_cast<int>(x[1]), static_cast<int>(x[2]), conv.kernel,
      conv.stride, conv.pad, type_};
}

Maps Lowering::maps_of(ValueId id) const {
  const Shape& s = graph_.at(id).shape;
  return Maps{spec_.batch, static_cast<int>(s[0]), static_cast<int>(s[1] * s[2]), dnn_.block};
}

PoolMaps Lowering::pool_maps(const MaxPool& op) const {
  const Shape& s = graph_.at(op.x).shape;
  return PoolMaps{spec_.batch, static_cast<int>(s[0]), static_cast<int>(s[1]),
                  static_cast<int>(s[2]), dnn_.block};
}

Activation activation_of(const Linear& op) {
  return op.activation == affuse::Activation::tanh ? Activation::tanh : Activation::none;
}

NormPlaces Lowering::norm_places(const Group& group) {
  const affuse::BatchNorm& bn = *group.bn;
  const auto [it, fresh] = norms_.try_emplace(&bn);
  if (fresh) {
    const int c = group.conv->out;
    it->second = {parameter(bn.weight),
                  parameter(bn.bias),
                  parameter(bn.running_mean),
                  parameter(bn.running_var),
                  channels(group.name + " mean", c),
                  channels(group.name + " var", c),
                  channels(group.name + " inverse std", c)};
  }
  return it->second;
}

const dnnl::memory::desc& Lowering::weight_desc(const Conv& conv) const {
  return weights_[static_cast<std::size_t>(conv.weight)];
}

bool Lowering::writes_gradient(Step& step, ValueId id) {
  const bool accumulate = std::exchange(written_[id], true);
  (accumulate ? step.accumulates : step.writes).push_back(gradient(id));
  return accumulate;
}

}  // namespace affuse::cpu
