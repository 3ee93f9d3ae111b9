// Chooses a kernel's instance by the type that activations are stored in.
#pragma once
#include <functional>
#include <type_traits>

#include "engine/program.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// make(T*{}) with T = Bf16 or Half returns a step's run().
template <class Make>
std::function<void(const Frame&)> typed16(DType type, Make make) {
  if (type == DType::bf16) return make(static_cast<Bf16*>(nullptr));
  return make(static_cast<Half*>(nullptr));
}

/// Likewise with T = float, too.
template <class Make>
std::function<void(const Frame&)> typed(DType type, Make make) {
  if (type == DType::f32) return make(static_cast<float*>(nullptr));
  return typed16(type, make);
}

template <class Tag>
using Pointee = std::remove_pointer_t<Tag>;

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
