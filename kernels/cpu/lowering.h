// Lowers a graph to the CPU's program: oneDNN for convolutions, own kernels for the rest.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dnnl.hpp>

#include "kernels/backend.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/maps.h"
#include "kernels/fusion.h"
#include "kernels/gradient_slices.h"

namespace affuse::cpu {

/// Where a unit's batch norm finds its numbers, and keeps what its backward pass needs.
struct NormPlaces {
  Place weight, bias, running_mean, running_var;
  BufferId mean, var, inverse_std;
};

Activation activation_of(const Linear& op);

/// One lowering. The forward half serves training and statistics; evaluation folds batch norm.
class Lowering {
 public:
  Lowering(const OneDnn& dnn, const Graph& graph, const LowerSpec& spec,
           const ParameterLayout& layout, const WeightDescs& weights, const EngineChoices* recorded,
           std::shared_ptr<Communicator> ranks);

  Program take();

 private:
  // lowering.cpp: buffers and common parts
  BufferId value(ValueId id);
  BufferId gradient(ValueId id);
  BufferId input(const char* name, Shape shape, DType type);
  BufferId output(const char* name, Shape shape, DType type);
  BufferId external(const char* name);
  BufferId channels(const std::string& name, int count, Life life = Life::transient);
  Place parameter(ParamId id);
  Place conv_weight(ParamId id);
  TensorDesc maps(const Shape& sample) const;
  ConvProblem problem(const Conv& conv) const;
  Maps maps_of(ValueId id) const;
  PoolMaps pool_maps(const MaxPool& op) const;
  NormPlaces norm_places(const Group& group);
  const dnnl::memory::desc& weight_desc(const Conv& conv) const;
  const std::string* recorded(const std::string& step) const;
  double bytes_of(std::initializer_list<ParamId> ids) const;
  /// The accumulate list if the gradient has been written before, else the write list.
  bool writes_gradient(Step& step, ValueId id);
  void emit(Step step);

  // lower_forward.cpp
  void forward();
  void augment(const Augment& op);
  void conv(const Group& group);
  void norm_act(const Group& group);
  void stem(const Group& group);
  void pool(const GlobalAvgPool& op);
  void linear(const std::string& name, const Linear& op);
  void round_weights();

  // lower_eval.cpp
  void evaluation();
  void fold_weights();
  void fold_unit(const Group& group, BufferId folded);
  std::vector<std::int32_t> channel_of_weight(const Conv& conv) const;
  void folded(const Group& group);
  void add_residual(const Group& group);
  void max_pool(const MaxPool& op);

  // lower_loss.cpp
  void loss(const AffectLoss& op);

  // lower_backward.cpp
  void backward();
  Place parameter_gradient(ParamId id);
  void norm_act_backward(const Group& group);
  void stem_backward(const Group& group);
  void conv_backward(const Group& group);
  void pool_backward(const GlobalAvgPool& op);
  void linear_backward(const std::string& name, const Linear& op);
  void update(const Adam& op);
  void average();

  // lower_reduce.cpp
  void reduce(const Group& group);
  void start_sums(bool all);
  void finish_sums();

  const OneDnn& dnn_;
  const Graph& graph_;
  const LowerSpec spec_;
  const ParameterLayout& layout_;
  const WeightDescs& weights_;
  const EngineChoices* recorded_;
  const std::shared_ptr<Communicator> ranks_;
  std::optional<GradientSlices> slices_;  ///< with several ranks
  int sums_ = 0;                          ///< slices so far
  const DType type_;                      ///< of activations
  std::vector<Group> groups_;
  Program program_;
  ValueId image_ = -1;  ///< what Augment gives
  std::map<ValueId, BufferId> values_, gradients_;
  std::map<std::string, BufferId> named_;
  std::map<const affuse::BatchNorm*, NormPlaces> norms_;
  std::map<ValueId, BufferId> pool_index_;
  std::map<ValueId, bool> written_;
};

}  // namespace affuse::cpu
