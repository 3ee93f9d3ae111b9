// The closed set of operations. A backend that forgets one does not compile (std::visit).
#pragma once
#include <variant>

namespace affuse {

using ValueId = int;  ///< a value of the graph; -1: none
using ParamId = int;  ///< a parameter of the graph; -1: none

/// Square convolution without bias: y = x * weight [out, in, kernel, kernel].
struct Conv {
  ValueId x, y;
  ParamId weight;
  int in, out, kernel, stride, pad;
};

/// y = weight (x - mean) / sqrt(var + eps) + bias a channel, mean and var over the batch in
/// training (biased), running statistics in evaluation (running_var is unbiased), as in torch.
struct BatchNorm {
  ValueId x, y;
  ParamId weight, bias, running_mean, running_var;
  float eps;
};

struct Add {
  ValueId a, b, y;
};

struct Relu {
  ValueId x, y;
};

/// 3x3 window, stride 2, padding 1.
struct MaxPool {
  ValueId x, y;
};

struct GlobalAvgPool {
  ValueId x, y;
};

enum class Activation { none, tanh };

/// y = activation(x weight^T + bias), weight [out, in].
struct Linear {
  ValueId x, y;
  ParamId weight, bias;
  int in, out;
  Activation activation;
};

/// uint8 NHWC faces and their AugmentParams to normalised values.
struct Augment {
  ValueId y;
  float mean[3], std[3];
};

/// Mixup (Zhang et al., ICLR 2018), in training only: image i of the valid ones becomes
/// m x_i + (1 - m) x_j with j = valid - 1 - i, in place, m = StepState::mix. The loss blends the
/// losses against both targets likewise.
struct Mixup {
  ValueId x;
};

/// Label posterior, fusion and the three losses (Eq. 1-9) with their gradients.
struct AffectLoss {
  ValueId logits, va;
};

/// Means of the gradients over the ranks.
struct AllReduce {};

/// Adam with torch's semantics over every trainable parameter.
struct Adam {
  float beta1, beta2, eps, weight_decay;
  bool decoupled;  ///< AdamW
};

/// Equal-weight running average of the parameters (torch.optim.swa_utils).
struct Average {};

using Op = std::variant<Augment, Mixup, Conv, BatchNorm, Add, Relu, MaxPool, GlobalAvgPool, Linear,
                        AffectLoss, AllReduce, Adam, Average>;

/// std::visit with one lambda an alternative.
template <class... F>
struct overload : F... {
  using F::operator()...;
};
template <class... F>
overload(F...) -> overload<F...>;

}  // namespace affuse
