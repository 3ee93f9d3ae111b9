// Lowers a graph to the GPU's program: a library for convolutions and products, own kernels for
// the rest. Pure host code: with another Vendor it plans for a described GPU, or runs on the CPU
// in tests.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/maps.h"
#include "kernels/cuda/vendor.h"
#include "kernels/lowering_base.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Where a unit's batch norm finds its numbers, and keeps what its backward pass needs.
struct NormPlaces {
  Place weight, bias, running_mean, running_var;
  Place mean;  ///< the batch's, or in evaluation the running one
  BufferId inverse_std;
};

/// One lowering. Training and statistics normalise with the batch, evaluation and a frozen backbone
/// with the running statistics.
class Lowering : private LoweringBase {
 public:
  Lowering(Vendor& vendor, const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
           const EngineChoices* recorded, std::shared_ptr<Communicator> ranks);

  Program take();

 private:
  // lowering.cpp: buffers and common parts
  TensorDesc maps(const Shape& sample) const override;
  BufferId scratch(const std::string& name, std::size_t bytes);
  Maps maps_of(ValueId id) const;
  PoolMaps pool_maps(const MaxPool& op) const;
  ConvProblem problem(const Conv& conv, ConvKind kind) const;
  NormPlaces norm_places(const Group& group);

  // lower_forward.cpp
  void forward();
  void round_weights();
  void running_inverse_std(const Group& group);
  void augment(const Augment& op);
  void mixup(const Mixup& op);
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

  // lower_update.cpp
  void loss(const affuse::AffectLoss& op);
  void update(const affuse::Adam& op);
  void finish_sums();
  void average();

  Vendor& vendor_;
  /// Gradients of a value, one a consumer: its producer's backward pass adds them as it reads.
  std::map<ValueId, std::vector<BufferId>> gradients_;
  std::map<const affuse::BatchNorm*, NormPlaces> norms_;
  std::map<const affuse::BatchNorm*, BufferId> masks_;
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
