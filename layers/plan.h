// A lowered program with its memory: what the trainer runs.
#pragma once
#include <memory>
#include <string>

#include "engine/arena.h"
#include "kernels/backend.h"
#include "layers/parameters.h"

namespace affuse {

/// Which set of numbers a plan computes with.
enum class WeightSet { current, average };

/// A Program of a graph for one mode and batch, its addresses and its StepState.
/// Plans may share one slab: only one of them is between upload and download at a time.
class Plan {
 public:
  Plan(Backend& backend, Parameters& parameters, const LowerSpec& spec,
       const EngineChoices* recorded = nullptr);

  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() { backend_.forget(program_); }

  const Program& program() const { return program_; }
  const ArenaPlan& arena() const { return arena_; }
  const LowerSpec& spec() const { return spec_; }
  StepState& state() { return state_; }

  /// The slab that `bytes` must fit; call once before the first run.
  void place_in(std::shared_ptr<Memory> slab);
  /// Binds an external buffer that is not a parameter (label model, loss settings).
  void bind(const std::string& buffer, void* address);
  /// Chooses the weights and marks them changed: the preparing steps run before the next batch.
  void use(WeightSet set);
  WeightSet weight_set() const { return set_; }

  void upload(const std::string& buffer, const void* host, std::size_t bytes);
  void download(const std::string& buffer, void* host, std::size_t bytes) const;
  bool has(const std::string& buffer) const;

  void run() {
    start();
    finish();
  }
  /// Begins a run. Until finish(), state() is the device's, and uploads wait for the next run:
  /// the next batch may be uploaded while this one is computed, its state not yet set.
  void start();
  void finish();

  /// Implementations taken, by step.
  EngineChoices choices() const;

 private:
  Backend& backend_;
  Parameters& parameters_;
  LowerSpec spec_;
  Program program_;
  ArenaPlan arena_;
  std::shared_ptr<Memory> slab_;
  Frame frame_;
  StepState state_;
  WeightSet set_ = WeightSet::current;
  bool changed_ = true;
};

}  // namespace affuse
