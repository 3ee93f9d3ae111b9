// The model's numbers in device memory: flat fp32 buffers in the backend's layout, with named
// views.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace affuse {

/// Weights, gradients, Adam's moments, the SWA average and both sets of running statistics.
class Parameters {
 public:
  /// Allocates zeroed buffers for the graph under the training spec's layout.
  Parameters(Backend& backend, const Graph& graph, const LowerSpec& spec);

  const ParameterLayout& layout() const { return layout_; }
  const Graph& graph() const { return graph_; }

  /// Fills weights and running statistics with the random start of `seed`.
  void initialise(std::uint64_t seed);

  /// One parameter of one buffer ("weights", "gradients", "moment1", "moment2", "average" for
  /// trainable ones; running statistics come from "running" or, for "average",
  /// "running_average") in the public order.
  std::vector<float> get(const std::string& buffer, ParamId id) const;
  /// Sets one parameter from its public order. Throws Error when the count differs.
  void set(const std::string& buffer, ParamId id, std::span<const float> values);

  /// Sets a flat buffer to zero.
  void clear(const std::string& buffer);

  /// Copies weights to the average's buffers or back ("weights" <-> "average").
  void copy(const std::string& from, const std::string& to);

  /// Address of a flat buffer by name, for binding programs and checkpoints.
  void* data(const std::string& buffer) const;
  std::size_t bytes(const std::string& buffer) const;
  std::vector<std::string> buffer_names() const;

  Backend& backend() const { return backend_; }

 private:
  const Memory& memory_of(const std::string& buffer) const;

  Backend& backend_;
  const Graph& graph_;
  ParameterLayout layout_;
  std::map<std::string, std::unique_ptr<Memory>> memory_;
};

}  // namespace affuse
