// Convolution, batch norm, and optionally a residual sum and ReLU: the unit that backends fuse.
#pragma once
#include <string>

#include "kernels/graph.h"

namespace affuse {

/// torchvision names the two halves apart ("layer1.0.conv1", "layer1.0.bn1").
struct ConvNormActSpec {
  std::string conv;
  std::string bn;
  int out = 64;
  int kernel = 3;
  int stride = 1;
  bool relu = true;
  ValueId residual = -1;
};

/// Padding is kernel / 2, batch norm eps 1e-5. Returns the unit's output value.
ValueId conv_norm_act(Graph& graph, ValueId x, const ConvNormActSpec& spec);

}  // namespace affuse
