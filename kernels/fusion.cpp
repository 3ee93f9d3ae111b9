#include "kernels/fusion.h"

#include "engine/error.h"

namespace affuse {
namespace {

// The next operation if it is a T that consumes `x`; nothing else may consume a fused value.
template <class T>
const T* take(const Graph& graph, std::size_t& next, ValueId x) {
  if (next >= graph.ops().size()) return nullptr;
  const T* op = std::get_if<T>(&graph.ops()[next].op);
  if (op == nullptr) return nullptr;
  if constexpr (std::is_same_v<T, Add>) {
    if (op->a != x) return nullptr;
  } else {
    if (op->x != x) return nullptr;
  }
  ++next;
  return op;
}

}  // namespace

ValueId Group::residual() const { return add != nullptr ? add->b : -1; }

ValueId Group::out() const { return pool != nullptr ? pool->y : activation(); }

ValueId Group::activation() const {
  if (relu != nullptr) return relu->y;
  if (add != nullptr) return add->y;
  return bn->y;
}

std::vector<Group> fuse(const Graph& graph) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < graph.ops().size();) {
    Group g;
    g.name = graph.ops()[i].name;
    g.conv = std::get_if<Conv>(&graph.ops()[i].op);
    if (g.conv == nullptr) {
      g.lone = &graph.ops()[i++].op;
      groups.push_back(g);
      continue;
    }
    ++i;
    g.bn = take<BatchNorm>(graph, i, g.conv->y);
    if (g.bn == nullptr) throw Error("convolution " + g.name + " has no batch norm behind it");
    g.add = take<Add>(graph, i, g.out());
    g.relu = take<Relu>(graph, i, g.out());
    if (g.relu != nullptr && g.add == nullptr) g.pool = take<MaxPool>(graph, i, g.out());
    groups.push_back(g);
  }
  return groups;
}

}  // namespace affuse
