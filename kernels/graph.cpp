#include "kernels/graph.h"

#include <utility>

namespace affuse {

ValueId Graph::value(std::string name, Shape shape) {
  values_.push_back({std::move(name), shape});
  return static_cast<ValueId>(values_.size()) - 1;
}

ParamId Graph::param(std::string name, Shape shape, ParamKind kind) {
  params_.push_back({std::move(name), shape, kind});
  return static_cast<ParamId>(params_.size()) - 1;
}

void Graph::add(std::string name, Op op) { ops_.push_back({std::move(name), op}); }

double Graph::flops(const Op& op) const {
  if (const auto* conv = std::get_if<Conv>(&op)) {
    const Shape& y = at(conv->y).shape;
    return 2.0 * static_cast<double>(y.count()) * conv->in * conv->kernel * conv->kernel;
  }
  if (const auto* linear = std::get_if<Linear>(&op)) return 2.0 * linear->in * linear->out;
  return 0;
}

}  // namespace affuse
