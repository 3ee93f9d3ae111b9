#include "tests/parity/torch/twin.h"

#include "gtest/gtest.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

namespace nn = torch::nn;

nn::Conv2d conv(int in, int out, int kernel, int stride) {
  return nn::Conv2d(
      nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

nn::Sequential layer(int in, int out, int stride) {
  nn::Sequential blocks;
  blocks->push_back(std::make_shared<BasicBlock>(in, out, stride));
  blocks->push_back(std::make_shared<BasicBlock>(out, out, 1));
  return blocks;
}

/// Buffers but for num_batches_tracked, which nothing reads (and which to(kDouble) makes a double).
std::map<std::string, Tensor> running_statistics(const nn::Module& twin) {
  std::map<std::string, Tensor> found;
  for (const auto& b : twin.named_buffers())
    if (b.value().dim() > 0) found[b.key()] = b.value();
  return found;
}

}  // namespace

BasicBlock::BasicBlock(int in, int out, int stride)
    : conv1(conv(in, out, 3, stride)), conv2(conv(out, out, 3, 1)), bn1(out), bn2(out) {
  register_module("conv1", conv1);
  register_module("bn1", bn1);
  register_module("conv2", conv2);
  register_module("bn2", bn2);
  if (stride == 1 && in == out) return;
  downsample =
      register_module("downsample", nn::Sequential(conv(in, out, 1, stride), nn::BatchNorm2d(out)));
}

Tensor BasicBlock::forward(const Tensor& x) {
  const Tensor y = bn2(conv2(torch::relu(bn1(conv1(x)))));
  return torch::relu(y + (downsample.is_empty() ? x : downsample->forward(x)));
}

Twin::Twin(int base, int classes)
    : conv1(conv(3, base, 7, 2)),
      bn1(base),
      layer1(layer(base, base, 1)),
      layer2(layer(base, 2 * base, 2)),
      layer3(layer(2 * base, 4 * base, 2)),
      layer4(layer(4 * base, 8 * base, 2)),
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
  Tensor x = torch::max_pool2d(torch::relu(bn1(conv1(images))), 3, 2, 1);
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
