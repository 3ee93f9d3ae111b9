// What a kernel and its launch ask of the emulation; see README.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "engine/error.h"
#include "kernels/cuda/emulation/vector_types.h"

namespace affuse::emulation {

/// What a GPU would hang on or leave undefined: divergent barriers, wrong masks, too much shared
/// memory. what() names kernel, block, and file and line of the threads that wait.
class KernelError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

/// In which order the threads run between two barriers, and the blocks of a grid.
enum class Order : std::uint8_t { forward, reverse, random };

struct Options {
  Order order = Order::forward;
  std::uint64_t seed = 1;  ///< of Order::random
  /// CUDA permits threads that return before a barrier of the others; here it is an error.
  bool allow_exited_at_barrier = false;
  /// ThreadSanitizer: no block happens before another, so that races between blocks show.
  bool interblock_races = false;
  std::size_t max_static_shared = 48 * 1024;  ///< what nvcc accepts
  std::size_t max_shared = 64 * 1024;         ///< with the dynamic: the smallest target, sm_75
};
Options& options();

/// Counted since the program's start.
struct Statistics {
  std::uint64_t launches = 0, blocks = 0, barriers = 0, warp_collectives = 0;
};
const Statistics& statistics();

using Site = std::source_location;

/// Runs kernel(closure) once for each thread of each block. Throws KernelError, or what the kernel
/// throws, and is usable again after. Launches of several host threads wait for each other.
void run(void (*kernel)(void*), void* closure, const char* name, dim3 grid, dim3 block,
         std::size_t shared_bytes);

/// The block's shared variable of this key, filled with NaN (0xFF) when the block first asks.
void* shared_variable(const void* key, std::size_t bytes, std::size_t alignment);
void* dynamic_shared(std::size_t alignment);

enum class BarrierKind : std::uint8_t { sync, count, all, any };
int barrier(BarrierKind kind, bool predicate, const Site& site);

enum class WarpKind : std::uint8_t { sync, vote, shuffle };
struct WarpRequest {
  WarpKind kind;
  unsigned mask;
  bool predicate = false;    ///< vote
  unsigned source = 0;       ///< shuffle: the lane whose `in` is copied to `out`
  unsigned bytes = 0;        ///< shuffle
  const void* in = nullptr;  ///< shuffle
  void* out = nullptr;       ///< shuffle
};
struct WarpResult {
  unsigned ballot, active;  ///< lanes with a true predicate, lanes that took part
};
WarpResult warp_collective(const WarpRequest& request, const Site& site);

/// Lanes of the warp that have not returned.
unsigned active_mask();
void fence_block();
void fence_device();

}  // namespace affuse::emulation
