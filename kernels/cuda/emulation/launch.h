// gpu::launch of the emulation: as the real one of kernels/cuda/gpu.h.
#pragma once
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/cuda/emulation/runtime.h"

namespace affuse::emulation {

template <class... P, class... A>
void launch(void (*kernel)(P...), const char* name, dim3 grid, dim3 block, std::size_t shared_bytes,
            A&&... arguments) {
  struct Closure {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> arguments;
  };
  Closure closure{kernel, {std::forward<A>(arguments)...}};
  const auto call = [](void* pointer) {
    const auto* bound = static_cast<const Closure*>(pointer);
    std::apply(bound->kernel, bound->arguments);
  };
  run(call, &closure, name, grid, block, shared_bytes);
}

}  // namespace affuse::emulation

namespace affuse::gpu {

/// Throws emulation::KernelError (a DeviceError). An empty grid is no launch.
template <auto Kernel, class... A>
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, void* /*stream*/, A&&... arguments) {
  // The function's own name holds the kernel's.
  emulation::launch(Kernel, __PRETTY_FUNCTION__, grid, block, shared_bytes,
                    std::forward<A>(arguments)...);
}

}  // namespace affuse::gpu
