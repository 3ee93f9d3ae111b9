#include "kernels/cpu/conv.h"

#include <deque>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse::cpu {
namespace {

using dnnl::memory;
using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

// What the primitive computes in: the stored type, or fp32 where bf16 is emulated.
memory::data_type compute_type(const OneDnn& dnn, const ConvProblem& p) {
  return p.type == DType::bf16 && dnn.native_bf16 ? memory::data_type::bf16
                                                  : memory::data_type::f32;
}

// Descriptions of a problem's operands: as the program stores them, and as the primitive is asked
// for them. `free` leaves the layouts of activations to oneDNN.
struct Descs {
  memory::desc x_stored, y_stored, x, y, weights_any, bias;
  memory::dims strides, pad_left, pad_right;

  Descs(const OneDnn& dnn, const ConvProblem& p, bool free) {
    const auto stored = data_type(p.type), computed = compute_type(dnn, p);
    const int oh = p.out_height(), ow = p.out_width();
    x_stored = maps_desc(p.n, p.in, p.height, p.width, dnn.block, stored);
    y_stored = maps_desc(p.n, p.out, oh, ow, dnn.block, stored);
    const auto any = memory::format_tag::any;
    x = free ? memory::desc(x_stored.dims(), computed, any)
             : maps_desc(p.n, p.in, p.height, p.width, dnn.block, computed);
    y = free ? memory::desc(y_stored.dims(), computed, any)
             : maps_desc(p.n, p.out, oh, ow, dnn.block, computed);
    weights_any = memory::desc({p.out, p.in, p.kernel, p.kernel}, computed, any);
    bias = memory::desc({p.out}, memory::data_type::f32, memory::format_tag::x);
    strides = {p.stride, p.stride};
    pad_left = {p.pad, p.pad};
    pad_right = {(oh - 1) * p.stride + p.kernel - p.height - p.pad,
                 (ow - 1) * p.stride + p.kernel - p.width - p.pad};
  }
};

Forward::desc training_forward(const Descs& d) {
  return {dnnl::prop_kind::forward_training,
          kAlgorithm,
          d.x,
          d.weights_any,
          d.y,
          d.strides,
          d.pad_left,
          d.pad_right};
}

Forward::desc folded_forward(const Descs& d) {
  return {dnnl::prop_kind::forward_inference,
          kAlgorithm,
          d.x,
          d.weights_any,
          d.bias,
          d.y,
          d.strides,
          d.pad_left,
          d.pad_right};
}

// How fast an implementation is to be expected: oneDNN's plain loops are hundreds of times slower
// than its kernels, im2col over plain layouts a few times.
int rank_of(const std::string& name) {
  if (name.find("ref") != std::string::npos) return 0;
  return name.find("gemm") != std::string::npos ? 1 : 2;
}
constexpr int kBestRank = 2;

// The best primitive description that `create(describe(descs), descs)` gives: over the program's
// own layouts first, over layouts of oneDNN's choice where those would be slow; or the recorded
// implementation. An error names `step`.
template <class Describe, class Create>
auto choose(const OneDnn& dnn, const ConvProblem& problem, const std::string& step,
            const std::string* recorded, Describe describe, Create create, bool& free) {
  using Operation = std::invoke_result_t<Describe, const Descs&>;
  std::optional<std::invoke_result_t<Create, const Operation&, const Descs&>> best;
  int best_rank = -1;
  for (const bool any : {false, true}) {
    try {
      // next_impl() still reads the operation's description: it must outlive the loop.
      const Descs descs(dnn, problem, any);
      const Operation operation = describe(descs);
      auto candidate = create(operation, descs);
      do {
        const std::string name = candidate.impl_info_str();
        const bool eligible = recorded == nullptr || name == *recorded;
        if (!eligible || rank_of(name) <= best_rank) continue;
        best.emplace(candidate);
        best_rank = recorded == nullptr ? rank_of(name) : kBestRank;
        free = any;
      } while (candidate.next_impl());
    } catch (const dnnl::error&) {
      continue;  // no implementation at all for these layouts
    }
    if (best_rank == kBestRank) break;
  }
  if (best) return *best;
  const std::string reason = recorded == nullptr
                                 ? "oneDNN has no implementation"
                                 : fmt::format(
                                       "this machine has no implementation {}, which the "
                                       "checkpoint records; train anew or resume where it began",
                                       *recorded);
  throw DeviceError(fmt::format("{}: convolution {} ({}): {}", step, problem.text(),
                                name_of(problem.type), reason));
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// The stored weights in the type that the step reads: 16-bit where activations are.
memory::desc typed(memory::desc weights, DType type) {
  weights.data.data_type = type == DType::bf16 ? dnnl_bf16 : dnnl_f32;
  return weights;
}

// The forward descriptions that backward ones refer to. oneDNN keeps a pointer to them while it
// looks for further implementations, so they must outlive the search.
class Hints {
 public:
  explicit Hints(const OneDnn& dnn) : dnn_(dnn) {}
  const Forward::primitive_desc& of(const Descs& d) {
    return kept_.emplace_back(training_forward(d), dnn_.engine);
  }

 private:
  const OneDnn& dnn_;
  std::deque<Forward::primitive_desc> kept_;
};

}  // namespace

double ConvProblem::flops() const {
  return 2.0 * n * out * in * kernel * kernel * out_height() * out_width();
}

std::string ConvProblem::text() const {
  return fmt::format("{}x{}x{}x{} -> {}, {}x{} stride {}", n, in, height, width, out, kernel,
                     kernel, stride);
}

memory::desc stored_weights(const OneDnn& dnn, const ConvProblem& problem) {
  bool free = false;
  const auto pd = choose(
      dnn, problem, "forward", nullptr, training_forward,
      [&](const Forward::desc& op, const Descs&) {
        return Forward::primitive_desc(op, dnn.engine);
      },
      free);
  return typed(pd.weights_desc(), DType::f32);
}

void lower_forward(const OneDnn& dnn, const ConvProblem& problem, const memory::desc& weights,
                   const ConvPlaces& places, bool with_bias, bool relu, Program& program,
                   Step& step, const std::string* recorded) {
  dnnl::primitive_attr attr = user_scratchpad();
  if (relu) {
    dnnl::post_ops ops;
    ops.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    attr.set_post_ops(ops);
  }
  bool free = false;
  const auto pd = choose(
      dnn, problem, step.name, recorded, with_bias ? folded_forward : training_forward,
      [&](const Forward::desc& op, const Descs&) {
        return Forward::primitive_desc(op, attr, dnn.engine);
      },
      free);
  const Descs d(dnn, problem, free);
  CallBuilder call(dnn, program, step);
  call.input(DNNL_ARG_SRC, places.x, d.x_stored, pd.src_desc());
  call.input(DNNL_ARG_WEIGHTS, places.weights, typed(weights, problem.type), pd.weights_desc());
  if (with_bias) call.input(DNNL_ARG_BIAS, places.bias, d.bias, d.bias);
  call.output(DNNL_ARG_DST, places.y, pd.dst_desc(), d.y_stored, false);
  call.scratchpad(pd.scratchpad_desc());
  call.finish(Forward(pd));
  step.engine = pd.impl_info_str();
  step.flops = problem.flops();
}

void lower_backward_data(const OneDnn& dnn, const ConvProblem& problem, const memory::desc& weights,
                         const ConvPlaces& places, bool accumulate, Program& program, Step& step,
                         const std::string* recorded) {
  const dnnl::primitive_attr attr = user_scratchpad();
  Hints hints(dnn);
  bool free = false;
  const auto pd = choose(
      dnn, problem, step.name, recorded,
      [](const Descs& d) {
        return BackwardData::desc(kAlgorithm, d.x, d.weights_any, d.y, d.strides, d.pad_left,
                                  d.pad_right);
      },
      [&](const BackwardData::desc& op, const Descs& d) {
        return BackwardData::primitive_desc(op, attr, dnn.engine, hints.of(d));
      },
      free);
  const Descs d(dnn, problem, free);
  CallBuilder call(dnn, program, step);
  call.input(DNNL_ARG_DIFF_DST, places.y, d.y_stored, pd.diff_dst_desc());
  call.input(DNNL_ARG_WEIGHTS, places.weights, typed(weights, problem.type), pd.weights_desc());
  call.output(DNNL_ARG_DIFF_SRC, places.x, pd.diff_src_desc(), d.x_stored, accumulate);
  call.scratchpad(pd.scratchpad_desc());
  call.finish(BackwardData(pd));
  step.engine = pd.impl_info_str();
  step.flops = problem.flops();
}

void lower_backward_weights(const OneDnn& dnn, const ConvProblem& problem,
                            const memory::desc& weights, const ConvPlaces& places, Program& program,
                            Step& step, const std::string* recorded) {
  const dnnl::primitive_attr attr = user_scratchpad();
  Hints hints(dnn);
  bool free = false;
  const auto pd = choose(
      dnn, problem, step.name, recorded,
      [](const Descs& d) {
        memory::desc dw = d.weights_any;
        dw.data.data_type = dnnl_f32;
        return BackwardWeights::desc(kAlgorithm, d.x, dw, d.y, d.strides, d.pad_left, d.pad_right);
      },
      [&](const BackwardWeights::desc& op, const Descs& d) {
        return BackwardWeights::primitive_desc(op, attr, dnn.engine, hints.of(d));
      },
      free);
  const Descs d(dnn, problem, free);
  CallBuilder call(dnn, program, step);
  call.input(DNNL_ARG_SRC, places.x, d.x_stored, pd.src_desc());
  call.input(DNNL_ARG_DIFF_DST, places.y, d.y_stored, pd.diff_dst_desc());
  call.output(DNNL_ARG_DIFF_WEIGHTS, places.weights, pd.diff_weights_desc(), weights, false);
  call.scratchpad(pd.scratchpad_desc());
  call.finish(BackwardWeights(pd));
  step.engine = pd.impl_info_str();
  step.flops = problem.flops();
}

}  // namespace affuse::cpu
