#include "tests/parity/torch/gates.h"

#include <cmath>

namespace affuse::parity {
namespace {

struct Difference {
  double worst = 0;   ///< largest error of any gradient
  double square = 0;  ///< sum of squared overall errors
};

Difference difference(const Rig& ours, const Twin& twin) {
  Difference d;
  for_gradients(ours, twin, [&](const std::string&, const Tensor& got, const Tensor& want) {
    d.worst = std::max(d.worst, largest_error(got, want));
    d.square += std::pow(overall_error(got, want), 2);
  });
  return d;
}

}  // namespace

void for_gradients(const Rig& ours, const Twin& twin,
                   const std::function<void(const std::string&, Tensor, Tensor)>& f) {
  const auto state = state_of(twin);
  const auto& params = ours.parameters().graph().params();
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (!params[i].trainable()) continue;
    f(params[i].name,
      tensor(ours.parameters().get(external::gradients, static_cast<ParamId>(i)), {-1}),
      state.at(params[i].name).grad().reshape(-1));
  }
}

Settled settle_gates(const Rig& ours, Twin& twin, const std::function<void()>& step,
                     double tolerance) {
  auto& flipped = twin.arithmetic.flipped;
  flipped.clear();
  const auto near = twin.arithmetic.near_zero(1e-5);
  Difference best = difference(ours, twin);
  bool current = true;  // the twin's gradients are those of `flipped`
  for (const Arithmetic::Gate& gate : near) {
    if (best.worst <= tolerance) break;
    flipped.push_back(gate);
    step();
    const Difference now = difference(ours, twin);
    current = now.square < best.square;
    current ? void(best = now) : flipped.pop_back();
  }
  if (!current) step();
  return {near.size(), flipped.size()};
}

}  // namespace affuse::parity
