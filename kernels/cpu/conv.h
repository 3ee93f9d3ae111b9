// Convolutions of the CPU program: oneDNN's primitives, chosen by direction.
#pragma once
#include <string>

#include "kernels/backend.h"
#include "kernels/cpu/onednn.h"

namespace affuse::cpu {

/// One convolution problem on square maps.
struct ConvProblem {
  int n, in, out, height, width, kernel, stride, pad;
  DType type = DType::f32;  ///< how activations are stored

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
  double flops() const;
  std::string text() const;  ///< "64x3x64x64 -> 64, 7x7 stride 2"
};

/// How the weights of a problem are stored (fp32 masters): what its forward pass prefers.
dnnl::memory::desc stored_weights(const OneDnn& dnn, const ConvProblem& problem);

/// Operands of one convolution step.
struct ConvPlaces {
  Place x;        ///< input activations, or their gradient (backward data)
  Place weights;  ///< weights, 16-bit copy where `problem.type` is bf16, or their gradient
  Place y;        ///< output activations, or their gradient
  Place bias;     ///< forward with folded batch norm only
};

/// y = x * w (+ bias) (ReLU). `bias` and `relu` serve evaluation with folded batch norm.
void lower_forward(const OneDnn& dnn, const ConvProblem& problem, const dnnl::memory::desc& weights,
                   const ConvPlaces& places, bool with_bias, bool relu, Program& program,
                   Step& step, const std::string* recorded);
/// dx = dy * w transposed; `accumulate` adds to dx.
void lower_backward_data(const OneDnn& dnn, const ConvProblem& problem,
                         const dnnl::memory::desc& weights, const ConvPlaces& places,
                         bool accumulate, Program& program, Step& step,
                         const std::string* recorded);
/// dw = x * dy, in fp32 whatever the activations' type.
void lower_backward_weights(const OneDnn& dnn, const ConvProblem& problem,
                            const dnnl::memory::desc& weights, const ConvPlaces& places,
                            Program& program, Step& step, const std::string* recorded);

}  // namespace affuse::cpu
