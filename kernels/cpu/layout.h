// How the CPU keeps parameters: convolution weights as oneDNN's training forward pass prefers them,
// everything else in the public order.
#pragma once
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/onednn.h"

namespace affuse::cpu {

/// Weights of each convolution parameter as they are stored; empty descriptions for others.
using WeightDescs = std::vector<dnnl::memory::desc>;

/// One description a parameter of the graph under the training spec.
WeightDescs weight_descs(const OneDnn& dnn, const Graph& graph, const LowerSpec& spec);

/// Slots aligned to 64 bytes, in the graph's order.
ParameterLayout parameter_layout(const Graph& graph, const WeightDescs& descs);

/// OIHW to the stored order and back.
void pack_weights(const OneDnn& dnn, const dnnl::memory::dims& oihw,
                  const dnnl::memory::desc& stored_desc, const float* plain, float* stored);
void unpack_weights(const OneDnn& dnn, const dnnl::memory::dims& oihw,
                    const dnnl::memory::desc& stored_desc, const float* stored, float* plain);

}  // namespace affuse::cpu
