// The random start of a network.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/graph.h"

namespace affuse {

/// One parameter's start, in the public order, as torchvision and torch.nn begin: convolutions
/// kaiming normal fan-out (gain sqrt 2), linear weights and biases uniform(+-1/sqrt(in)), batch
/// norm weight 1, bias 0, running mean 0, running var 1. A function of (seed, id) alone.
std::vector<float> initial_values(const Graph& graph, ParamId id, std::uint64_t seed);

}  // namespace affuse
