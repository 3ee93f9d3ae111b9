#include "layers/plan.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"

namespace affuse {

Plan::Plan(Backend& backend, Parameters& parameters, const LowerSpec& spec,
           const EngineChoices* recorded)
    : backend_(backend),
      parameters_(parameters),
      spec_(spec),
      program_(backend.lower(parameters.graph(), spec, parameters.layout(), recorded)),
      arena_(place(program_)) {
  frame_.address.resize(program_.buffers.size(), nullptr);
  frame_.state = &state_;
  use(WeightSet::current);
}

void Plan::place_in(std::shared_ptr<Memory> slab) {
  if (slab->bytes() < arena_.bytes) throw Error("the slab is smaller than the program's arena");
  slab_ = std::move(slab);
  auto* base = static_cast<std::byte*>(slab_->data());
  for (std::size_t i = 0; i < frame_.address.size(); ++i)
    if (arena_.placements[i].in_arena) frame_.address[i] = base + arena_.placements[i].offset;
}

void Plan::bind(const std::string& buffer, void* address) {
  frame_.address[static_cast<std::size_t>(program_.find(buffer))] = address;
}

void Plan::use(WeightSet set) {
  const bool average = set == WeightSet::average;
  const auto known = parameters_.buffer_names();
  for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
    const Buffer& b = program_.buffers[i];
    if (b.life != Life::external) continue;
    std::string source = b.name;
    if (average && source == external::weights) source = external::average;
    if (average && source == external::running) source = "running_average";
    if (std::find(known.begin(), known.end(), source) != known.end())
      frame_.address[i] = parameters_.data(source);
  }
  set_ = set;
  changed_ = true;
}

void Plan::upload(const std::string& buffer, const void* host, std::size_t bytes) {
  backend_.upload(frame_.at<void>(program_.find(buffer)), host, bytes);
}

void Plan::download(const std::string& buffer, void* host, std::size_t bytes) const {
  backend_.download(host, frame_.at<void>(program_.find(buffer)), bytes);
}

bool Plan::has(const std::string& buffer) const {
  return std::any_of(program_.buffers.begin(), program_.buffers.end(),
                     [&](const Buffer& b) { return b.name == buffer; });
}

void Plan::start() {
  if (std::exchange(changed_, false)) backend_.run(program_, frame_, true);
  backend_.start(program_, frame_, false);
}

void Plan::finish() { backend_.finish(); }

EngineChoices Plan::choices() const {
  EngineChoices out;
  for (const Step& s : program_.steps)
    if (s.engine != "own") out[program_.name + "/" + s.name] = s.engine;
  return out;
}

}  // namespace affuse
