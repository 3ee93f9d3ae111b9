// What the lowering of every backend does alike: buffers of values, inputs, outputs and parameters,
// recorded implementations, and the sums of gradients over the ranks while backward runs.
#pragma once
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/fusion.h"
#include "kernels/gradient_slices.h"

namespace affuse {

/// One program in the making.
class LoweringBase {
 public:
  LoweringBase(const LoweringBase&) = delete;
  LoweringBase& operator=(const LoweringBase&) = delete;
  virtual ~LoweringBase() = default;

 protected:
  /// `type`: of activations. Graph, layout and recorded choices must outlive the lowering.
  LoweringBase(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
               const EngineChoices* recorded, std::shared_ptr<Communicator> ranks, DType type);

  /// A batch of maps [C, H, W] as the backend stores them, or of [C] in fp32.
  virtual TensorDesc maps(const Shape& sample) const = 0;

  /// Whether the program ends with gradients and an update.
  bool trains() const { return spec_.mode == Mode::train || spec_.mode == Mode::heads; }
  /// Whether batch norm takes the running statistics and leaves them alone.
  bool running_norm() const { return spec_.mode == Mode::eval || spec_.mode == Mode::heads; }
  /// Whether gradients go through the group: on a frozen backbone through the heads alone.
  bool carries_gradients(const Group& group) const;

  BufferId value(ValueId id);
  /// Elements of one sample of a value as it is stored.
  std::size_t stored_elements(ValueId id) const;
  BufferId input(const char* name, Shape shape, DType type);
  BufferId output(const char* name, Shape shape, DType type);
  BufferId external(const char* name);
  Place parameter(ParamId id);
  Place parameter_gradient(ParamId id);
  /// Where a step reads a convolution's weights: fp32, or the 16-bit copy. Only training (train)
  /// keeps the copy between steps; the other modes round their own ("rounded weights") when the
  /// weights change.
  Place conv_weight(ParamId id);
  /// The implementation that an earlier run took for this step; null: none is wanted.
  const std::string* recorded(const std::string& step) const;
  /// Of fp32 parameters.
  double bytes_of(std::initializer_list<ParamId> ids) const;
  void emit(Step step);

  /// The group's gradients are computed: begins the sums of the slices that this completes.
  void reduce(const Group& group);
  /// Begins the sums of what is left and returns the step that is to wait for all of them; its run
  /// is left to the backend. Only with several ranks.
  Step last_sum();

  const Graph& graph_;
  const LowerSpec spec_;
  const ParameterLayout& layout_;
  const std::shared_ptr<Communicator> ranks_;
  const DType type_;    ///< of activations
  const Slot updated_;  ///< the part of the flat buffers that the update is for
  std::vector<Group> groups_;
  Program program_;
  ValueId image_ = -1;  ///< what Augment gives
  std::map<ValueId, BufferId> values_;
  std::map<std::string, BufferId> named_;

 private:
  const Slot& slot_of(ParamId id) const { return layout_.slots[static_cast<std::size_t>(id)]; }
  void start_sums(bool all);

  const EngineChoices* recorded_;
  std::optional<GradientSlices> slices_;  ///< with several ranks
  int sums_ = 0;                          ///< slices so far
};

}  // namespace affuse
