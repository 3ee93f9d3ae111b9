// The network as data: named values, named parameters and operations in order.
#pragma once
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "kernels/ops.h"

namespace affuse {

/// A tensor between operations; its shape is a sample's: [C, H, W] or [C].
struct Value {
  std::string name;
  Shape shape;
};

enum class ParamKind { conv_weight, bn_weight, bn_bias, running_mean, running_var, weight, bias };

/// A named tensor of the model in the public order (OIHW, [out, in] or [C]).
struct Param {
  std::string name;  ///< torchvision's name, for example "layer1.0.bn1.weight"
  Shape shape;
  ParamKind kind;

  bool trainable() const {
    return kind != ParamKind::running_mean && kind != ParamKind::running_var;
  }
};

struct NamedOp {
  std::string name;
  Op op;
};

class Graph {
 public:
  ValueId value(std::string name, Shape shape);
  ParamId param(std::string name, Shape shape, ParamKind kind);
  void add(std::string name, Op op);

  const std::vector<Value>& values() const { return values_; }
  const std::vector<Param>& params() const { return params_; }
  const std::vector<NamedOp>& ops() const { return ops_; }
  const Value& at(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  const Param& param_at(ParamId id) const { return params_[static_cast<std::size_t>(id)]; }

  /// Multiply-adds of an operation times two, for one sample's forward pass.
  double flops(const Op& op) const;

 private:
  std::vector<Value> values_;
  std::vector<Param> params_;
  std::vector<NamedOp> ops_;
};

}  // namespace affuse
