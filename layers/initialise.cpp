#include "layers/initialise.h"

#include <cmath>

#include "engine/philox.h"

namespace affuse {
namespace {

std::vector<float> normal(std::size_t count, double std, Philox random) {
  std::vector<float> out(count);
  for (float& x : out) x = static_cast<float>(random.normal(0, std));
  return out;
}

std::vector<float> uniform(std::size_t count, double bound, Philox random) {
  std::vector<float> out(count);
  for (float& x : out) x = static_cast<float>(random.uniform(-bound, bound));
  return out;
}

// A bias lies right behind its weight, whose second dimension is the fan-in.
double linear_bound(const Graph& graph, ParamId id) {
  const Param& param = graph.param_at(id);
  const Shape& weight = param.kind == ParamKind::bias ? graph.param_at(id - 1).shape : param.shape;
  return 1.0 / std::sqrt(static_cast<double>(weight[1]));
}

}  // namespace

std::vector<float> initial_values(const Graph& graph, ParamId id, std::uint64_t seed) {
  const Param& param = graph.param_at(id);
  const auto count = static_cast<std::size_t>(param.shape.count());
  const Philox random(seed, Purpose::init, static_cast<std::uint32_t>(id));
  switch (param.kind) {
    case ParamKind::conv_weight: {
      const auto fan_out = static_cast<double>(param.shape[0] * param.shape[2] * param.shape[3]);
      return normal(count, std::sqrt(2.0 / fan_out), random);
    }
    case ParamKind::weight:
    case ParamKind::bias:
      return uniform(count, linear_bound(graph, id), random);
    case ParamKind::bn_weight:
    case ParamKind::running_var:
      return std::vector<float>(count, 1.f);
    case ParamKind::bn_bias:
    case ParamKind::running_mean:
      return std::vector<float>(count, 0.f);
  }
  return {};
}

}  // namespace affuse
