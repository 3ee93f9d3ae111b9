// ResNet-18 (He et al., 2016) exactly as torchvision builds it, with two heads.
#pragma once
#include <array>
#include <string>

#include "kernels/graph.h"

namespace affuse {

/// What fixes the network.
struct NetworkSpec {
  int image_size = 224;  ///< pixels a side, a multiple of 32
  int classes = 8;
  double width = 1.0;  ///< factor on every channel count, rounded to multiples of 16
  Activation va_activation = Activation::tanh;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};
  std::array<float, 3> std = {0.229f, 0.224f, 0.225f};
  bool mixup = false;  ///< training blends pairs of images and their losses
};

/// Channels of layer1 at a width: 64 * width to the next multiple of 16, at least 16.
int base_channels(double width);

/// Augment (-> Mixup) -> stem -> 8 basic blocks -> average pooling -> fc_class, fc_va -> loss.
/// Throws ConfigError for an image size or width that does not fit.
Graph resnet18(const NetworkSpec& spec);

}  // namespace affuse
