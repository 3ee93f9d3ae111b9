// Groups of operations that backends lower together.
#pragma once
#include <string>
#include <vector>

#include "kernels/graph.h"

namespace affuse {

/// A convolution with what follows it (batch norm, then perhaps a residual sum, ReLU and max-pool),
/// or a single operation in `lone`.
struct Group {
  std::string name;
  const Conv* conv = nullptr;
  const BatchNorm* bn = nullptr;
  const Add* add = nullptr;
  const Relu* relu = nullptr;
  const MaxPool* pool = nullptr;
  const Op* lone = nullptr;

  ValueId residual() const;    ///< the Add's other operand, or -1
  ValueId activation() const;  ///< what the group produces, before the max-pool
  ValueId out() const;         ///< the value that the group produces
};

/// Walks the graph once, in order. The groups point into `graph`, which must outlive them.
std::vector<Group> fuse(const Graph& graph);

}  // namespace affuse
