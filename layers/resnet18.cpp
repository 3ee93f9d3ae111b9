#include "layers/resnet18.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "layers/conv_norm_act.h"

namespace affuse {
namespace {

ValueId basic_block(Graph& graph, const std::string& name, ValueId x, int out, int stride) {
  ValueId skip = x;
  if (stride != 1 || graph.at(x).shape[0] != out) {
    const std::string down = name + ".downsample.";
    skip = conv_norm_act(graph, x, {down + "0", down + "1", out, 1, stride, false});
  }
  const ValueId y = conv_norm_act(graph, x, {name + ".conv1", name + ".bn1", out, 3, stride});
  return conv_norm_act(graph, y, {name + ".conv2", name + ".bn2", out, 3, 1, true, skip});
}

ValueId linear(Graph& graph, const std::string& name, ValueId x, int out, Activation activation) {
  const int in = static_cast<int>(graph.at(x).shape[0]);
  const ParamId weight = graph.param(name + ".weight", {out, in}, ParamKind::weight);
  const ParamId bias = graph.param(name + ".bias", {out}, ParamKind::bias);
  const ValueId y = graph.value(name, {out});
  graph.add(name, Linear{x, y, weight, bias, in, out, activation});
  return y;
}

}  // namespace

int base_channels(double width) {
  return std::max(16, 16 * static_cast<int>(std::lround(64.0 * width / 16.0)));
}

Graph resnet18(const NetworkSpec& spec) {
  if (spec.image_size < 32 || spec.image_size % 32 != 0)
    throw ConfigError("image size " + std::to_string(spec.image_size) + ": not a multiple of 32");
  Graph graph;
  const int channels = base_channels(spec.width);

  ValueId x = graph.value("image", {3, spec.image_size, spec.image_size});
  Augment augment{x, {}, {}};
  std::copy(spec.mean.begin(), spec.mean.end(), augment.mean);
  std::copy(spec.std.begin(), spec.std.end(), augment.std);
  graph.add("augment", augment);
  if (spec.mixup) graph.add("mixup", Mixup{x});

  x = conv_norm_act(graph, x, {"conv1", "bn1", channels, 7, 2});
  const int pooled = spec.image_size / 4;
  const ValueId p = graph.value("maxpool", {channels, pooled, pooled});
  graph.add("maxpool", MaxPool{x, p});
  x = p;

  for (int layer = 0; layer < 4; ++layer)
    for (int block = 0; block < 2; ++block) {
      const std::string name = "layer" + std::to_string(layer + 1) + "." + std::to_string(block);
      x = basic_block(graph, name, x, channels << layer, layer > 0 && block == 0 ? 2 : 1);
    }

  const ValueId features = graph.value("features", {channels * 8});
  graph.add("avgpool", GlobalAvgPool{x, features});
  const ValueId logits = linear(graph, "fc_class", features, spec.classes, Activation::none);
  const ValueId va = linear(graph, "fc_va", features, 2, spec.va_activation);
  graph.add("loss", AffectLoss{logits, va});
  return graph;
}

}  // namespace affuse
