#include "kernels/cuda/lowering.h"

#include <utility>

#include "engine/error.h"
#include "kernels/cuda/layout.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

Lowering::Lowering(Vendor& vendor, const Graph& graph, const LowerSpec& spec,
                   const ParameterLayout& layout, const EngineChoices* recorded,
                   std::shared_ptr<Communicator> ranks)
    : vendor_(vendor),
      graph_(graph),
      spec_(spec),
      layout_(layout),
      recorded_(recorded),
      ranks_(std::move(ranks)),
      type_(activation_type(spec.precision)),
      groups_(fuse(graph)) {
  program_.name = name_of(spec.mode);
}

Program Lowering::take() {
  if (spec_.mode == Mode::average) {
    average();
  } else {
    forward();
    if (spec_.mode == Mode::train) backward();
  }
  return std::move(program_);
}

TensorDesc Lowering::maps(const Shape& sample) const {
  if (sample.rank() == 1) return TensorDesc::dense(sample.batched(spec_.batch), DType::f32);
  TensorDesc desc = TensorDesc::dense(sample.batched(spec_.batch), type_, Layout::nhwc);
  const int channels = static_cast<int>(sample[0]);
  desc.bytes = desc.bytes / static_cast<std::size_t>(channels) *
               static_cast<std::size_t>(padded_channels(channels, type_));
  return desc;
}

BufferId Lowering::value(ValueId id) {
  const auto [it, fresh] = values_.try_emplace(id, -1);
  if (!fresh) return it->second;
  // Features and heads are small, and their readers stand outside the program.
  const Value& v = graph_.at(id);
  const Life life = v.shape.rank() == 1 ? Life::output : Life::transient;
  return it->second = program_.add(v.name, maps(v.shape), life);
}

BufferId Lowering::scratch(const std::string& name, std::size_t bytes) {
  return program_.add(name, TensorDesc::dense({static_cast<std::int64_t>(bytes)}, DType::u8));
}

BufferId Lowering::input(const char* name, Shape shape, DType type) {
  return program_.add(name, TensorDesc::dense(shape, type), Life::input);
}

BufferId Lowering::output(const char* name, Shape shape, DType type) {
  return program_.add(name, TensorDesc::dense(shape, type), Life::output);
}

BufferId Lowering::external(const char* name) {
  const auto [it, fresh] = named_.try_emplace(name, -1);
  if (fresh) it->second = program_.add(name, TensorDesc{}, Life::external);
  return it->second;
}

Place Lowering::parameter(ParamId id) {
  const Slot& slot = layout_.slots[static_cast<std::size_t>(id)];
  return {external(slot.running ? external::running : external::weights),
          slot.offset * sizeof(float)};
}

Place Lowering::parameter_gradient(ParamId id) {
  const Slot& slot = layout_.slots[static_cast<std::size_t>(id)];
  return {external(external::gradients), slot.offset * sizeof(float)};
}

// Training keeps the 16-bit copy between steps; the other modes round their own when the weights
// change.
Place Lowering::conv_weight(ParamId id) {
  if (type_ == DType::f32) return parameter(id);
  const Slot& slot = layout_.slots[static_cast<std::size_t>(id)];
  const BufferId copy =
      spec_.mode == Mode::train ? external(external::weights16) : named_.at("rounded weights");
  return {copy, slot.offset * size_of(type_)};
}

Maps Lowering::maps_of(ValueId id) const {
  const Shape& s = graph_.at(id).shape;
  return {spec_.batch, static_cast<int>(s[1] * s[2]), static_cast<int>(s[0])};
}

PoolMaps Lowering::pool_maps(const MaxPool& op) const {
  const Shape& s = graph_.at(op.x).shape;
  return {spec_.batch, static_cast<int>(s[0]), static_cast<int>(s[1]), static_cast<int>(s[2])};
}

ConvProblem Lowering::problem(const Conv& conv, ConvKind kind) const {
  const Shape& x = graph_.at(conv.x).shape;
  return {kind,
          spec_.batch,
          padded_channels(conv.in, type_),
          conv.out,
          static_cast<int>(x[1]),
          static_cast<int>(x[2]),
          conv.kernel,
          conv.stride,
          conv.pad,
          type_,
          spec_.precision == Precision::tf32,
          spec_.deterministic};
}

NormPlaces Lowering::norm_places(const Group& group) {
  const affuse::BatchNorm& bn = *group.bn;
  const auto [it, fresh] = norms_.try_emplace(&bn);
  if (!fresh) return it->second;
  const auto channels = [&](const char* name, Life life) {
    return program_.add(group.name + name, TensorDesc::dense({group.conv->out}, DType::f32), life);
  };
  const bool eval = spec_.mode == Mode::eval;
  NormPlaces at{parameter(bn.weight),
                parameter(bn.bias),
                parameter(bn.running_mean),
                parameter(bn.running_var),
                {},
                -1};
  at.mean = eval ? at.running_mean : Place{channels(" mean", Life::transient), 0};
  at.inverse_std = channels(" inverse std", eval ? Life::held : Life::transient);
  return it->second = at;
}

double Lowering::bytes_of(std::initializer_list<ParamId> ids) const {
  double total = 0;
  for (const ParamId id : ids)
    total += static_cast<double>(layout_.slots[static_cast<std::size_t>(id)].count) * sizeof(float);
  return total;
}

void Lowering::emit(Step step) {
  if (step.engine.empty()) step.engine = "own";
  program_.steps.push_back(std::move(step));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
