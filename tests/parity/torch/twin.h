// The same network and losses in LibTorch, written from torchvision's ResNet-18 and Eq. 6-9.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "layers/parameters.h"
#include "tests/parity/torch/faces.h"

namespace affuse::parity {

/// How the twin computes between its layers.
class Arithmetic {
 public:
  /// An element of the forward pass's k-th ReLU, by its distance from 0 in rms of that layer.
  struct Gate {
    std::size_t relu;
    std::int64_t element;
    double distance;
  };

  bool bf16 = false;          ///< activations, their gradients and weights round to bf16
  std::vector<Gate> flipped;  ///< gates that open on the other side of 0

  void begin() { seen_.clear(); }
  Tensor relu(const Tensor& z);
  Tensor convolve(torch::nn::Conv2d& conv, const Tensor& x) const;
  /// What our programs store: rounded in both directions where bf16 is set.
  Tensor keep(const Tensor& x) const;
  /// Gates of the last forward pass nearer to 0 than `distance`, nearest first.
  std::vector<Gate> near_zero(double distance) const;

 private:
  std::vector<Tensor> seen_;
};

struct BasicBlock : torch::nn::Module {
  BasicBlock(Arithmetic& by, int in, int out, int stride);
  Tensor forward(const Tensor& x);

  Arithmetic& arithmetic;
  torch::nn::Conv2d conv1, conv2;
  torch::nn::BatchNorm2d bn1, bn2;
  torch::nn::Conv2d down_conv{nullptr};
  torch::nn::BatchNorm2d down_bn{nullptr};
};

/// torchvision.models.resnet18 with the heads fc_class and fc_va (tanh).
struct Twin : torch::nn::Module {
  struct Output {
    Tensor features, logits, va;
  };

  /// `base`: channels of layer1.
  explicit Twin(int base, int classes = kClasses);
  Output forward(const Tensor& images);

  /// Random numbers everywhere, batch norm's included, so that none of them hides an error.
  void randomise(std::uint64_t seed);
  /// BatchNorm2d's momentum; nullopt: torch's cumulative average.
  void set_momentum(std::optional<double> momentum);
  void reset_running_statistics();

  Arithmetic arithmetic;
  torch::nn::Conv2d conv1;
  torch::nn::BatchNorm2d bn1;
  torch::nn::Sequential layer1, layer2, layer3, layer4;
  torch::nn::Linear fc_class, fc_va;
};

/// Every tensor of the twin under torchvision's name, but for num_batches_tracked.
std::map<std::string, Tensor> state_of(const torch::nn::Module& twin);

/// From the twin to a buffer of ours, and back. Fails the test where names or counts differ.
void give(const torch::nn::Module& twin, Parameters& parameters, const std::string& buffer);
void take(torch::nn::Module& twin, const Parameters& parameters, const std::string& buffer);

struct Losses {
  Tensor ce, cs, l2;
  Tensor total() const { return ce + cs + l2; }
};

/// Eq. 6-8 over the valid samples of a batch: target distributions [valid, K].
Losses losses(const Twin::Output& out, const Batch& batch, const Tensor& target);

}  // namespace affuse::parity
