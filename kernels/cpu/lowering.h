// Lowers a graph to the CPU's program: oneDNN for convolutions, own kernels for the rest.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <dnnl.hpp>

#include "kernels/cpu/conv.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/maps.h"
#include "kernels/lowering_base.h"

namespace affuse::cpu {

/// Where a unit's batch norm finds its numbers, and keeps what its backward pass needs.
struct NormPlaces {
  Place weight, bias, running_mean, running_var;
  BufferId mean, var, inverse_std;
};

Activation activation_of(const Linear& op);

/// One lowering. The forward half serves training and statistics; evaluation folds batch norm.
class Lowering : private LoweringBase {
 public:
  Lowering(const OneDnn& dnn, const Graph& graph, const LowerSpec& spec,
           const ParameterLayout& layout, const WeightDescs& weights, const EngineChoices* recorded,
           std::shared_ptr<Communicator> ranks);

  Program take();

 private:
  // lowering.cpp: buffers and common parts
  TensorDesc maps(const Shape& sample) const override;
  BufferId gradient(ValueId id);
  BufferId channels(const std::string& name, int count, Life life = Life::transient);
  ConvProblem problem(const Conv& conv) const;
  Maps maps_of(ValueId id) const;
  PoolMaps pool_maps(const MaxPool& op) const;
  NormPlaces norm_places(const Group& group);
  const dnnl::memory::desc& weight_desc(const Conv& conv) const;
  /// The accumulate list if the gradient has been written before, else the write list.
  bool writes_gradient(Step& step, ValueId id);

  // lower_forward.cpp
  void forward();
  void augment(const Augment& op);
  void mixup(const Mixup& op);
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
  void norm_act_backward(const Group& group);
  void stem_backward(const Group& group);
  void conv_backward(const Group& group);
  void pool_backward(const GlobalAvgPool& op);
  void linear_backward(const std::string& name, const Linear& op);
  void update(const Adam& op);
  void finish_sums();
  void average();

  const OneDnn& dnn_;
  const WeightDescs& weights_;
  std::map<ValueId, BufferId> gradients_;
  std::map<const affuse::BatchNorm*, NormPlaces> norms_;
  std::map<ValueId, BufferId> pool_index_;
  std::map<ValueId, bool> written_;
};

}  // namespace affuse::cpu
