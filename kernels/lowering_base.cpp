#include "kernels/lowering_base.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse {
namespace {

// With a frozen backbone the heads: in every layout the end of the buffers.
Slot updated_part(const Graph& graph, const ParameterLayout& layout, Mode mode) {
  if (mode != Mode::heads) return {0, layout.weights};
  std::size_t heads = layout.weights, backbone_end = 0;
  for (std::size_t i = 0; i < layout.slots.size(); ++i) {
    const Slot& slot = layout.slots[i];
    const ParamKind kind = graph.params()[i].kind;
    if (kind == ParamKind::weight || kind == ParamKind::bias)
      heads = std::min(heads, slot.offset);
    else if (!slot.running)
      backbone_end = std::max(backbone_end, slot.offset + slot.count);
  }
  if (backbone_end > heads)
    throw Error("frozen epochs need the heads behind all other parameters of the layout");
  return {heads, layout.weights - heads};
}

}  // namespace

LoweringBase::LoweringBase(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                           const EngineChoices* recorded, std::shared_ptr<Communicator> ranks,
                           DType type)
    : graph_(graph),
      spec_(spec),
      layout_(layout),
      ranks_(std::move(ranks)),
      type_(type),
      updated_(updated_part(graph, layout, spec.mode)),
      groups_(fuse(graph)),
      recorded_(recorded) {
  program_.name = name_of(spec.mode);
  if (ranks_->size() > 1) slices_.emplace(layout_, GradientSlices::kLeast, updated_.offset);
}

bool LoweringBase::carries_gradients(const Group& group) const {
  return spec_.mode != Mode::heads ||
         (group.lone != nullptr && std::holds_alternative<Linear>(*group.lone));
}

BufferId LoweringBase::value(ValueId id) {
  const auto [it, fresh] = values_.try_emplace(id, -1);
  if (!fresh) return it->second;
  // Features and heads are small, and their readers stand outside the program.
  const Value& v = graph_.at(id);
  const Life life = v.shape.rank() == 1 ? Life::output : Life::transient;
  return it->second = program_.add(v.name, maps(v.shape), life);
}

std::size_t LoweringBase::stored_elements(ValueId id) const {
  const TensorDesc desc = maps(graph_.at(id).shape);
  return desc.bytes / static_cast<std::size_t>(spec_.batch) / size_of(desc.dtype);
}

BufferId LoweringBase::input(const char* name, Shape shape, DType type) {
  return program_.add(name, TensorDesc::dense(shape, type), Life::input);
}

BufferId LoweringBase::output(const char* name, Shape shape, DType type) {
  return program_.add(name, TensorDesc::dense(shape, type), Life::output);
}

BufferId LoweringBase::external(const char* name) {
  const auto [it, fresh] = named_.try_emplace(name, -1);
  if (fresh) it->second = program_.add(name, TensorDesc{}, Life::external);
  return it->second;
}

Place LoweringBase::parameter(ParamId id) {
  const Slot& slot = slot_of(id);
  return {external(slot.running ? external::running : external::weights),
          slot.offset * sizeof(float)};
}

Place LoweringBase::parameter_gradient(ParamId id) {
  return {external(external::gradients), slot_of(id).offset * sizeof(float)};
}

Place LoweringBase::conv_weight(ParamId id) {
  if (type_ == DType::f32) return parameter(id);
  const BufferId copy =
      spec_.mode == Mode::train ? external(external::weights16) : named_.at("rounded weights");
  return {copy, slot_of(id).offset * size_of(type_)};
}

const std::string* LoweringBase::recorded(const std::string& step) const {
  if (recorded_ == nullptr) return nullptr;
  const auto it = recorded_->find(program_.name + "/" + step);
  return it == recorded_->end() ? nullptr : &it->second;
}

double LoweringBase::bytes_of(std::initializer_list<ParamId> ids) const {
  double total = 0;
  for (const ParamId id : ids) total += static_cast<double>(slot_of(id).count) * sizeof(float);
  return total;
}

void LoweringBase::emit(Step step) {
  if (step.engine.empty()) step.engine = "own";
  program_.steps.push_back(std::move(step));
}

void LoweringBase::reduce(const Group& group) {
  if (!slices_) return;
  if (group.conv != nullptr)
    for (const ParamId id : {group.conv->weight, group.bn->weight, group.bn->bias})
      slices_->complete(id);
  else if (const auto* op = std::get_if<Linear>(group.lone))
    for (const ParamId id : {op->weight, op->bias}) slices_->complete(id);
  start_sums(false);
}

void LoweringBase::start_sums(bool all) {
  while (const auto slice = slices_->take(all)) {
    Step step{fmt::format("all_reduce {}", ++sums_)};
    const BufferId gradients = external(external::gradients);
    step.engine = ranks_->name();
    step.reads = step.writes = {gradients};
    step.parameter_bytes = 2.0 * sizeof(float) * static_cast<double>(slice->count);
    step.run = [ranks = ranks_, gradients, at = *slice](const Frame& f) {
      ranks->start_sum(f.at<float>(gradients) + at.offset, at.count, f.stream);
    };
    emit(std::move(step));
  }
}

Step LoweringBase::last_sum() {
  start_sums(true);
  Step step{"all_reduce finish"};
  step.engine = ranks_->name();
  step.reads = step.writes = {external(external::gradients)};
  return step;
}

}  // namespace affuse
