// The emulated device's memory and orders.
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "tests/kernels/cuda/emulated.h"
#include "tests/kernels/cuda/memory.h"

namespace affuse {

void* allocate_on_device(std::size_t bytes) { return ::operator new (bytes, std::align_val_t{16}); }
void release_on_device(void* memory) noexcept { ::operator delete (memory, std::align_val_t{16}); }
bool device_fuses_multiply_add() { return false; }

void for_each_order(const std::function<void()>& f) {
  const KeepOptions keep;
  const auto once = [&](emulation::Order order, std::uint64_t seed, const std::string& name) {
    SCOPED_TRACE("emulation order: " + name);
    emulation::options().order = order;
    emulation::options().seed = seed;
    f();
  };
  once(emulation::Order::forward, 1, "forward");
  once(emulation::Order::reverse, 1, "reverse");
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    once(emulation::Order::random, seed, "random, seed " + std::to_string(seed));
#if defined(__SANITIZE_THREAD__)
  emulation::options().interblock_races = true;
  once(emulation::Order::forward, 1, "forward, blocks unordered");
#endif
}

}  // namespace affuse
