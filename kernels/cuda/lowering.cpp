#include "kernels/cuda/lowering.h"

#include <utility>

#include "engine/error.h"
#include "kernels/cuda/layout.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

Lowering::Lowering(Vendor& vendor, const Graph& graph, const LowerSpec& spec,
                   const ParameterLayout& layout, const EngineChoices* recorded,
                   std::shared_ptr<Communicator> ranks)
    : LoweringBase(graph, spec, layout, recorded, std::move(ranks),
                   activation_type(spec.precision)),
      vendor_(vendor) {}

Program Lowering::take() {
  if (spec_.mode == Mode::average) {
    average();
  } else {
    forward();
    if (trains()) backward();
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

BufferId Lowering::scratch(const std::string& name, std::size_t bytes) {
  return program_.add(name, TensorDesc::dense({static_cast<std::int64_t>(bytes)}, DType::u8));
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
  const bool fixed = running_norm();
  NormPlaces at{parameter(bn.weight),
                parameter(bn.bias),
                parameter(bn.running_mean),
                parameter(bn.running_var),
                {},
                -1};
  at.mean = fixed ? at.running_mean : Place{channels(" mean", Life::transient), 0};
  at.inverse_std = channels(" inverse std", fixed ? Life::held : Life::transient);
  return it->second = at;
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
