#include "tests/parity/torch/twin.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

namespace nn = torch::nn;

nn::Conv2d conv(int in, int out, int kernel, int stride) {
  return nn::Conv2d(
      nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

nn::Sequential layer(Arithmetic& by, int in, int out, int stride) {
  nn::Sequential blocks;
  blocks->push_back(std::make_shared<BasicBlock>(by, in, out, stride));
  blocks->push_back(std::make_shared<BasicBlock>(by, out, out, 1));
  return blocks;
}

Tensor rounded(const Tensor& x) { return x.to(torch::kBFloat16).to(x.scalar_type()); }

struct RoundBothWays : torch::autograd::Function<RoundBothWays> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return rounded(x); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list dy) {
    return {rounded(dy[0])};
  }
};

/// Buffers but for num_batches_tracked, which nothing reads (and which to(kDouble) makes a double).
std::map<std::string, Tensor> running_statistics(const nn::Module& twin) {
  std::map<std::string, Tensor> found;
  for (const auto& b : twin.named_buffers())
    if (b.value().dim() > 0) found[b.key()] = b.value();
  return found;
}

}  // namespace

Tensor Arithmetic::relu(const Tensor& z) {
  const Tensor open = z.detach() > 0;
  for (const Gate& g : flipped)
    if (g.relu == seen_.size()) open.view(-1)[g.element].logical_not_();
  seen_.push_back(z.detach());
  return z * open;
}

Tensor Arithmetic::convolve(nn::Conv2d& conv, const Tensor& x) const {
  const Tensor& w = conv->weight;
  const Tensor used = bf16 ? w + (rounded(w) - w).detach() : w;  // the gradient is not rounded
  return keep(torch::conv2d(x, used, {}, conv->options.stride(), w.size(2) / 2));
}

Tensor Arithmetic::keep(const Tensor& x) const { return bf16 ? RoundBothWays::apply(x) : x; }

std::vector<Arithmetic::Gate> Arithmetic::near_zero(double distance) const {
  std::vector<Gate> found;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const Tensor z = (seen_[i] / seen_[i].square().mean().sqrt()).abs().reshape(-1);
    const Tensor near = (z < distance).nonzero();
    for (std::int64_t k = 0; k < near.size(0); ++k) {
      const auto element = near[k].item<std::int64_t>();
      found.push_back({i, element, z[element].item<double>()});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Gate& a, const Gate& b) { return a.distance < b.distance; });
  return found;
}

BasicBlock::BasicBlock(Arithmetic& by, int in, int out, int stride)
    : arithmetic(by),
      conv1(conv(in, out, 3, stride)),
      conv2(conv(out, out, 3, 1)),
      bn1(out),
      bn2(out) {
  register_module("conv1", conv1);
  register_module("bn1", bn1);
  register_module("conv2", conv2);
  register_module("bn2", bn2);
  if (stride == 1 && in == out) return;
  down_conv = conv(in, out, 1, stride);
  down_bn = nn::BatchNorm2d(out);
  register_module("downsample", nn::Sequential(down_conv, down_bn));
}

Tensor BasicBlock::forward(const Tensor& x) {
  Arithmetic& a = arithmetic;
  const Tensor y = a.keep(a.relu(bn1(a.convolve(conv1, x))));
  const Tensor skip = down_conv.is_empty() ? x : a.keep(down_bn(a.convolve(down_conv, x)));
  return a.keep(a.relu(bn2(a.convolve(conv2, y)) + skip));
}

Twin::Twin(int base, int classes)
    : conv1(conv(3, base, 7, 2)),
      bn1(base),
      layer1(layer(arithmetic, base, base, 1)),
      layer2(layer(arithmetic, base, 2 * base, 2)),
      layer3(layer(arithmetic, 2 * base, 4 * base, 2)),
      layer4(layer(arithmetic, 4 * base, 8 * base, 2)),
      fc_class(8 * base, classes),
      fc_va(8 * base, 2) {
  register_module("conv1", conv1);
  register_module("bn1", bn1);
  register_module("layer1", layer1);
  register_module("layer2", layer2);
  register_module("layer3", layer3);
  register_module("layer4", layer4);
  register_module("fc_class", fc_class);
  register_module("fc_va", fc_va);
}

Twin::Output Twin::forward(const Tensor& images) {
  Arithmetic& a = arithmetic;
  a.begin();
  Tensor x = a.relu(bn1(a.convolve(conv1, a.keep(images))));
  x = a.keep(torch::max_pool2d(x, 3, 2, 1));
  for (nn::Sequential* layer : {&layer1, &layer2, &layer3, &layer4}) x = (*layer)->forward(x);
  Output out;
  out.features = x.mean({2, 3});
  out.logits = fc_class(out.features);
  out.va = torch::tanh(fc_va(out.features));
  return out;
}

void Twin::randomise(std::uint64_t seed) {
  torch::manual_seed(seed);
  const torch::NoGradGuard no_gradients;
  for (const auto& p : named_parameters()) {
    if (p.value().dim() == 4) nn::init::kaiming_normal_(p.value(), 0, torch::kFanOut, torch::kReLU);
    if (p.value().dim() == 2)
      p.value().normal_(0, 1 / std::sqrt(static_cast<double>(p.value().size(1))));
    if (p.value().dim() == 1)
      p.value().uniform_(-0.5, 0.5).add_(p.key().ends_with(".weight") ? 1 : 0);
  }
  for (auto& [name, buffer] : running_statistics(*this))
    buffer.uniform_(0.5, 1.5).sub_(name.ends_with("mean") ? 1 : 0);
}

void Twin::set_momentum(std::optional<double> momentum) {
  for (const auto& m : modules())
    if (auto* bn = m->as<nn::BatchNorm2d>())
      bn->options.momentum(momentum ? c10::optional<double>(*momentum) : c10::nullopt);
}

void Twin::reset_running_statistics() {
  for (const auto& m : modules())
    if (auto* bn = m->as<nn::BatchNorm2d>()) bn->reset_running_stats();
}

std::map<std::string, Tensor> state_of(const torch::nn::Module& twin) {
  std::map<std::string, Tensor> state = running_statistics(twin);
  for (const auto& p : twin.named_parameters()) state[p.key()] = p.value();
  return state;
}

void give(const torch::nn::Module& twin, Parameters& parameters, const std::string& buffer) {
  const auto state = state_of(twin);
  const auto& params = parameters.graph().params();
  ASSERT_EQ(params.size(), state.size());
  for (std::size_t id = 0; id < params.size(); ++id) {
    ASSERT_TRUE(state.contains(params[id].name)) << params[id].name;
    parameters.set(buffer, static_cast<ParamId>(id), floats(state.at(params[id].name)));
  }
}

void take(torch::nn::Module& twin, const Parameters& parameters, const std::string& buffer) {
  const torch::NoGradGuard no_gradients;
  const auto state = state_of(twin);
  const auto& params = parameters.graph().params();
  ASSERT_EQ(params.size(), state.size());
  for (std::size_t id = 0; id < params.size(); ++id) {
    ASSERT_TRUE(state.contains(params[id].name)) << params[id].name;
    Tensor to = state.at(params[id].name);
    to.copy_(tensor(parameters.get(buffer, static_cast<ParamId>(id)), to.sizes()));
  }
}

Losses losses(const Twin::Output& out, const Batch& batch, const Tensor& target) {
  const auto options = out.logits.options();
  const Tensor q = target.to(options.dtype());
  std::vector<double> w, va, known;
  for (int i = 0; i < batch.valid; ++i) {
    const auto n = static_cast<std::size_t>(i);
    const int annotated = batch.label[n];
    w.push_back(kClassWeight[static_cast<std::size_t>(
        annotated >= 0 ? annotated : target[i].argmax().item<int>())]);
    known.push_back(batch.has_va[n] != 0 ? 1 : 0);
    va.insert(va.end(), {batch.va[2 * n], batch.va[2 * n + 1]});
  }
  const Tensor weight = torch::tensor(w, options), has_va = torch::tensor(known, options);
  const Tensor point = torch::tensor(va, options).reshape({-1, 2});
  const Tensor p = torch::softmax(out.logits, 1);
  const Tensor length = torch::clamp_min(q.norm(2, 1) * p.norm(2, 1), 1e-8);

  Losses loss;
  loss.ce = -(weight * (q * torch::log_softmax(out.logits, 1)).sum(1)).mean();
  loss.cs = (weight * (1 - (q * p).sum(1) / length)).mean();
  loss.l2 = (weight * has_va * (point - out.va).square().sum(1)).mean();
  return loss;
}

}  // namespace affuse::parity
