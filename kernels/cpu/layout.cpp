#include "kernels/cpu/layout.h"

#include "engine/error.h"
#include "kernels/cpu/conv.h"

namespace affuse::cpu {
namespace {

using dnnl::memory;

void reorder(const OneDnn& dnn, const memory::desc& from, const float* source,
             const memory::desc& to, float* target) {
  // oneDNN takes no const handles; the source is only read.
  memory a(from, dnn.engine, const_cast<float*>(source));
  memory b(to, dnn.engine, target);
  dnnl::stream stream(dnn.engine);
  dnnl::reorder(a, b).execute(stream, a, b);
  stream.wait();
}

memory::desc plain_desc(const memory::dims& oihw) {
  return memory::desc(oihw, memory::data_type::f32, memory::format_tag::oihw);
}

}  // namespace

WeightDescs weight_descs(const OneDnn& dnn, const Graph& graph, const LowerSpec& spec) {
  WeightDescs descs(graph.params().size());
  const DType type = spec.precision == Precision::bf16 ? DType::bf16 : DType::f32;
  for (const NamedOp& op : graph.ops()) {
    const auto* conv = std::get_if<Conv>(&op.op);
    if (conv == nullptr) continue;
    const Shape& x = graph.at(conv->x).shape;
    const ConvProblem problem{spec.batch,
                              conv->in,
                              conv->out,
                              static_cast<int>(x[1]),
                              static_cast<int>(x[2]),
                              conv->kernel,
                              conv->stride,
                              conv->pad,
                              type};
    descs[static_cast<std::size_t>(conv->weight)] = stored_weights(dnn, problem);
  }
  return descs;
}

ParameterLayout parameter_layout(const Graph& graph, const WeightDescs& descs) {
  constexpr std::size_t kAlign = 16;  // floats: 64 bytes
  ParameterLayout layout;
  for (std::size_t i = 0; i < graph.params().size(); ++i) {
    const Param& p = graph.params()[i];
    Slot slot;
    slot.running = !p.trainable();
    slot.count = p.kind == ParamKind::conv_weight ? descs[i].get_size() / sizeof(float)
                                                  : static_cast<std::size_t>(p.shape.count());
    std::size_t& end = slot.running ? layout.running : layout.weights;
    slot.offset = end;
    end = (end + slot.count + kAlign - 1) / kAlign * kAlign;
    layout.slots.push_back(slot);
  }
  return layout;
}

void pack_weights(const OneDnn& dnn, const memory::dims& oihw, const memory::desc& stored_desc,
                  const float* plain, float* stored) {
  reorder(dnn, plain_desc(oihw), plain, stored_desc, stored);
}

void unpack_weights(const OneDnn& dnn, const memory::dims& oihw, const memory::desc& stored_desc,
                    const float* stored, float* plain) {
  reorder(dnn, stored_desc, stored, plain_desc(oihw), plain);
}

}  // namespace affuse::cpu
