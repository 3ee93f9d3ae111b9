#include "layers/conv_norm_act.h"

namespace affuse {

ValueId conv_norm_act(Graph& graph, ValueId x, const ConvNormActSpec& spec) {
  const Shape in = graph.at(x).shape;
  const int channels = static_cast<int>(in[0]), pad = spec.kernel / 2;
  const auto size = [&](std::int64_t n) { return (n + 2 * pad - spec.kernel) / spec.stride + 1; };
  const Shape maps{spec.out, size(in[1]), size(in[2])}, per_channel{spec.out};

  const ParamId weight =
      graph.param(spec.conv + ".weight", {spec.out, channels, spec.kernel, spec.kernel},
                  ParamKind::conv_weight);
  ValueId y = graph.value(spec.conv, maps);
  graph.add(spec.conv, Conv{x, y, weight, channels, spec.out, spec.kernel, spec.stride, pad});

  const ValueId normed = graph.value(spec.bn, maps);
  BatchNorm bn{y, normed, -1, -1, -1, -1, 1e-5f};
  bn.weight = graph.param(spec.bn + ".weight", per_channel, ParamKind::bn_weight);
  bn.bias = graph.param(spec.bn + ".bias", per_channel, ParamKind::bn_bias);
  bn.running_mean = graph.param(spec.bn + ".running_mean", per_channel, ParamKind::running_mean);
  bn.running_var = graph.param(spec.bn + ".running_var", per_channel, ParamKind::running_var);
  graph.add(spec.bn, bn);
  y = normed;

  if (spec.residual >= 0) {
    const ValueId sum = graph.value(spec.bn + ".add", maps);
    graph.add(spec.bn + ".add", Add{y, spec.residual, sum});
    y = sum;
  }
  if (spec.relu) {
    const ValueId active = graph.value(spec.bn + ".relu", maps);
    graph.add(spec.bn + ".relu", Relu{y, active});
    y = active;
  }
  return y;
}

}  // namespace affuse
