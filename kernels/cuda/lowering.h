// Lowers a graph to the GPU's program: a library for convolutions and products, own kernels for
// the rest. Pure host code: with another Vendor it plans for a described GPU, or runs on the CPU
// in tests.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/maps.h"
#include "kernels/cuda/vendor.h"
#include "kernels/fusion.h"
#include "kernels/gradient_slices.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// A place in a buffer.
struct Place {
  BufferId buffer = -1;
  std::size_t offset = 0;  ///< bytes

  template <class T>
  T* at(const Frame& f) const {
    return reinterpret_cast<T*>(f.at<std::byte>(buffer) + offset);
  }
};

/// Where a unit's batch norm finds its numbers, and keeps what its backward pass needs.
struct NormPlaces {
  Place weight, bias, running_mean, running_var;
  Place mean;  ///< the batch's, or in evaluation the running one
  BufferId inverse_std;
};

/// One lowering. Training and statistics normalise with the batch, evaluation with the running
/// statistics.
class Lowering {
 public:
  Lowering(Vendor& vendor, const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
           const EngineChoices* recorded, std::shared_ptr<Communicator> ranks);

  Program take();

 private:
  // lowering.cpp: buffers and common parts
  BufferId value(ValueId id);
  BufferId scratch(const std::string& name, std::size_t bytes);
  BufferId input(const char* name, Shape shape, DType type);
  BufferId output(const char* name, Shape shape, DType type);
  BufferId external(const char* name);
  Place parameter(ParamId id);
  Place parameter_gradient(ParamId id);
  Place conv_weight(ParamId id);
  TensorDesc maps(const Shape& sample) const;
  Maps maps_of(ValueId id) const;
  PoolMaps pool_maps(const MaxPool& op) const;
  ConvProblem problem(const Conv& conv, ConvKind kind) const;
  NormPlaces norm_places(const Group& group);
  double bytes_of(std::initializer_list<ParamId> ids) const;
  void emit(Step step);

  // lower_forward.cpp
  void forward();
  void round_weights();
  void running_inverse_std(const Group& group);
  void augment(const Augment& op);
  void conv(const Group& group);
  void statistics(const Group& group);
  void norm_act(const Group& group);
  void stem(const Group& group);
  void pool(const GlobalAvgPool& op);
  void linear(const std::string& name, const Linear& op);
  /// Adds the library's step: its engine, workspace and FLOPs; run is left to the caller.
  std::shared_ptr<const Convolution> convolution(Step& step, const ConvProblem& problem,
                                                 BufferId& workspace);

  // lower_backward.cpp
  void backward();
  void norm_backward(const Group& group);
  void stem_backward(const Group& group);
  void weights_backward(const Group& group);
  void data_backward(const Group& group);
  void pool_backward(const GlobalAvgPool& op);
  void linear_backward(const std::string& name, const Linear& op);

  // lower_reduce.cpp
  void reduce(const Group& group);
  void start_sums(bool all);
  void finish_sums();

  // lower_update.cpp
  void loss(const affuse::AffectLoss& op);
  void update(const affuse::Adam& op);
  void average();

  Vendor& vendor_;
  const Graph& graph_;
  const LowerSpec spec_;
  const ParameterLayout& layout_;
  const EngineChoices* recorded_;
  const std::shared_ptr<Communicator> ranks_;
  std::optional<GradientSlices> slices_;  ///< with several ranks
  int sums_ = 0;                          ///< slices so far
  const DType type_;                      ///< of activations
  std::vector<Group> groups_;
  Program program_;
  ValueId image_ = -1;  ///< what Augment gives
  std::map<ValueId, BufferId> values_;
  /// Gradients of a value, one a consumer: its producer's backward pass adds them as it reads.
  std::map<ValueId, std::vector<BufferId>> gradients_;
  std::map<std::string, BufferId> named_;
  std::map<const affuse::BatchNorm*, NormPlaces> norms_;
  std::map<const affuse::BatchNorm*, BufferId> masks_;
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
