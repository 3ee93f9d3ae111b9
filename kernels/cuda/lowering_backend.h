// What every backend around the CUDA lowering has in common: parameter layout and programs.
#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/layout.h"
#include "kernels/cuda/lowering.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

class LoweringBackend : public Backend {
 public:
  explicit LoweringBackend(std::unique_ptr<Vendor> vendor) : vendor_(std::move(vendor)) {}

  ParameterLayout layout(const Graph& graph, const LowerSpec& spec) override {
    params_ = graph.params();
    type_ = activation_type(spec.precision);
    return parameter_layout(graph, type_);
  }

  void pack(ParamId id, std::span<const float> plain, std::span<float> stored) override {
    const Param& p = params_.at(static_cast<std::size_t>(id));
    if (p.kind == ParamKind::conv_weight) return pack_weights(p.shape, type_, plain, stored);
    std::copy(plain.begin(), plain.end(), stored.begin());
  }

  void unpack(ParamId id, std::span<const float> stored, std::span<float> plain) override {
    const Param& p = params_.at(static_cast<std::size_t>(id));
    if (p.kind == ParamKind::conv_weight) return unpack_weights(p.shape, type_, stored, plain);
    std::copy(stored.begin(), stored.end(), plain.begin());
  }

  Program lower(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                const EngineChoices* recorded) override {
    return Lowering(*vendor_, graph, spec, layout, recorded, ranks()).take();
  }

 private:
  std::unique_ptr<Vendor> vendor_;
  std::vector<Param> params_;
  DType type_ = DType::f32;
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
