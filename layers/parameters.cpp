#include "layers/parameters.h"

#include "engine/error.h"
#include "layers/initialise.h"

namespace affuse {
namespace {

// The buffer that really holds a parameter: running statistics live apart from trained weights.
std::string home(const std::string& buffer, const Slot& slot) {
  if (!slot.running) return buffer;
  return buffer == "average" ? "running_average" : "running";
}

}  // namespace

Parameters::Parameters(Backend& backend, const Graph& graph, const LowerSpec& spec)
    : backend_(backend), graph_(graph), layout_(backend.layout(graph, spec)) {
  const std::size_t flat = layout_.weights * sizeof(float);
  for (const char* name : {external::weights, external::gradients, external::moment1,
                           external::moment2, external::average})
    memory_[name] = backend.allocate(flat);
  if (spec.precision == Precision::bf16 || spec.precision == Precision::fp16)
    memory_[external::weights16] = backend.allocate(layout_.weights * 2);
  for (const char* name : {"running", "running_average"})
    memory_[name] = backend.allocate(layout_.running * sizeof(float));
}

void Parameters::initialise(std::uint64_t seed) {
  for (ParamId id = 0; id < static_cast<ParamId>(graph_.params().size()); ++id)
    set(external::weights, id, initial_values(graph_, id, seed));
}

std::vector<float> Parameters::get(const std::string& buffer, ParamId id) const {
  const Slot& slot = layout_.slots[static_cast<std::size_t>(id)];
  const auto* base = static_cast<const float*>(memory_of(home(buffer, slot)).data());
  std::vector<float> stored(slot.count);
  backend_.download(stored.data(), base + slot.offset, slot.count * sizeof(float));
  std::vector<float> plain(static_cast<std::size_t>(graph_.param_at(id).shape.count()));
  backend_.unpack(id, stored, plain);
  return plain;
}

void Parameters::set(const std::string& buffer, ParamId id, std::span<const float> values) {
  const Param& param = graph_.param_at(id);
  if (static_cast<std::int64_t>(values.size()) != param.shape.count())
    throw Error(param.name + ": " + std::to_string(values.size()) + " values for shape " +
                param.shape.text());
  const Slot& slot = layout_.slots[static_cast<std::size_t>(id)];
  std::vector<float> stored(slot.count);
  backend_.pack(id, values, stored);
  auto* base = static_cast<float*>(memory_of(home(buffer, slot)).data());
  backend_.upload(base + slot.offset, stored.data(), slot.count * sizeof(float));
}

void Parameters::clear(const std::string& buffer) {
  const std::vector<std::byte> zeros(bytes(buffer));
  backend_.upload(data(buffer), zeros.data(), zeros.size());
}

void Parameters::copy(const std::string& from, const std::string& to) {
  for (ParamId id = 0; id < static_cast<ParamId>(graph_.params().size()); ++id)
    set(to, id, get(from, id));
}

void* Parameters::data(const std::string& buffer) const { return memory_of(buffer).data(); }

std::size_t Parameters::bytes(const std::string& buffer) const { return memory_of(buffer).bytes(); }

std::vector<std::string> Parameters::buffer_names() const {
  std::vector<std::string> names;
  for (const auto& [name, memory] : memory_) names.push_back(name);
  return names;
}

const Memory& Parameters::memory_of(const std::string& buffer) const {
  const auto it = memory_.find(buffer);
  if (it == memory_.end()) throw Error("no parameter buffer named " + buffer);
  return *it->second;
}

}  // namespace affuse
