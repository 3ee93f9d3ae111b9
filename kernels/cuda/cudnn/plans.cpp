// Heuristics, filters and the words for having nothing to offer.
#include "kernels/cuda/cudnn/plans.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/text.h"
#include "kernels/cuda/cudnn/conv_graph.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

// ---- engine configurations ----

Descriptor engine_of(const Descriptor& config) {
  auto engines =
      config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
  if (engines.empty()) throw DeviceError("cuDNN proposes a configuration without an engine");
  return std::move(engines.front());
}

/// Knobs by type: what cuDNN tunes an engine with (tile size, stages, split of the sum, ...).
std::map<int, std::int64_t> knobs_of(const Descriptor& config) {
  std::map<int, std::int64_t> out;
  for (const Descriptor& choice :
       config.descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
                          CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type = choice.values<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
                                                            CUDNN_TYPE_KNOB_TYPE, 1);
    out[type.at(0)] = choice.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE);
  }
  return out;
}

std::string engine_text(const Descriptor& config, const Descriptor& engine) {
  std::vector<std::string> knobs;
  for (const auto& [type, value] : knobs_of(config))
    knobs.push_back(fmt::format("k{}={}", type, value));
  return fmt::format("cudnn eng{}{{{}}}", engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX),
                     fmt::join(knobs, ","));
}

bool permits(const ConvProblem& problem, cudnnBackendNumericalNote_t note) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
      return problem.type != DType::f32 || problem.tensor_float32;
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      return !problem.deterministic;
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      return false;  // sums are in fp32
    default:
      return true;
  }
}

bool permits(const ConvProblem& problem, const Descriptor& engine) {
  const auto notes = engine.values<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  return std::all_of(notes.begin(), notes.end(),
                     [&](cudnnBackendNumericalNote_t note) { return permits(problem, note); });
}

// ---- the search ----

class Search {
 public:
  Search(const PlanTarget& target, const PlanRequest& request, std::size_t most)
      : target_(target), request_(request), most_(request.recorded != nullptr ? 1 : most) {}

  std::vector<Plan> run() {
    refuse_missing_types();
    describe();
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
      for (Descriptor& config : proposals(mode)) {
        if (plans_.size() == most_) return std::move(plans_);
        consider(std::move(config));
      }
    if (plans_.empty()) throw DeviceError(refusal());
    return std::move(plans_);
  }

 private:
  void refuse_missing_types() const;
  void describe();
  std::vector<Descriptor> proposals(cudnnBackendHeurMode_t mode);
  void consider(Descriptor config);
  void build(Descriptor config, const std::string& name);
  std::string refusal() const;
  std::string place() const {
    return fmt::format("{}: convolution {}", request_.unit, text_of(request_.problem));
  }

  const PlanTarget& target_;
  const PlanRequest& request_;
  std::size_t most_;
  std::shared_ptr<const Descriptor> graph_;
  std::vector<Plan> plans_;
  std::set<std::string> seen_;
  std::size_t smallest_ = std::numeric_limits<std::size_t>::max();
  std::string complaint_;  // cuDNN's first
};

// Ampere brought both types.
void Search::refuse_missing_types() const {
  if (target_.architecture >= 80) return;
  if (request_.problem.type == DType::bf16)
    throw DeviceError(fmt::format("{}: sm_{} has no bf16 convolutions; it has train.precision=fp16",
                                  place(), target_.architecture));
  if (request_.problem.tensor_float32)
    throw DeviceError(
        fmt::format("{}: sm_{} has no tf32; it has train.precision=fp32 and, faster, fp16", place(),
                    target_.architecture));
}

void Search::describe() {
  try {
    graph_ = std::make_shared<const Descriptor>(conv_graph(request_.problem, target_.handle));
  } catch (const DeviceError& error) {
    throw DeviceError(fmt::format("{} on sm_{}: {}", place(), target_.architecture, error.what()));
  }
}

std::vector<Descriptor> Search::proposals(cudnnBackendHeurMode_t mode) {
  try {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, *graph_)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (target_.properties) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target_.properties);
    heuristics.finalize();
    return heuristics.descriptors(
        CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
        heuristics.count(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR));
  } catch (const DeviceError& error) {
    if (complaint_.empty()) complaint_ = error.what();
    return {};
  }
}

void Search::consider(Descriptor config) {
  try {
    const Descriptor engine = engine_of(config);
    const std::string name = engine_text(config, engine);
    if (request_.recorded != nullptr && name != *request_.recorded) return;
    if (!permits(request_.problem, engine) || !seen_.insert(name).second) return;
    build(std::move(config), name);
  } catch (const DeviceError& error) {  // proposed, and yet not supported for this problem
    if (complaint_.empty()) complaint_ = error.what();
  }
}

void Search::build(Descriptor config, const std::string& name) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (target_.properties) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target_.properties);
  plan.finalize();
  const auto bytes =
      static_cast<std::size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  smallest_ = std::min(smallest_, bytes);
  if (bytes <= request_.workspace_cap)
    plans_.push_back({graph_, std::move(config), std::move(plan), name, bytes});
}

std::string Search::refusal() const {
  const auto mib = [](std::size_t bytes) { return (bytes + (1u << 20) - 1) >> 20; };
  if (smallest_ != std::numeric_limits<std::size_t>::max())
    return fmt::format(
        "{}: {} on sm_{} needs {} MiB of workspace, {} are allowed; raise "
        "train.workspace_mb",
        place(), request_.recorded != nullptr ? *request_.recorded : "the smallest engine",
        target_.architecture, mib(smallest_), request_.workspace_cap >> 20);
  if (request_.recorded != nullptr)
    return fmt::format(
        "{}: cuDNN on sm_{} does not offer {}, which the checkpoint records; train "
        "anew or resume where it began",
        place(), target_.architecture, in_quotes(*request_.recorded));
  return fmt::format("{}: cuDNN has no engine on sm_{}; take another train.precision{}", place(),
                     target_.architecture, complaint_.empty() ? "" : " (" + complaint_ + ")");
}

}  // namespace

std::vector<Plan> make_plans(const PlanTarget& target, const PlanRequest& request,
                             std::size_t most) {
  return Search(target, request, most).run();
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
