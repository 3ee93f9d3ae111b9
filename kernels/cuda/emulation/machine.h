// The state of the launch that runs.
#pragma once
#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/emulation/fibre.h"
#include "kernels/cuda/emulation/runtime.h"
#include "kernels/cuda/emulation/schedule.h"
#include "kernels/cuda/emulation/shared_memory.h"

namespace affuse::emulation {

inline constexpr unsigned warp_size = 32, max_threads = 1024, max_warps = max_threads / warp_size;

enum class ThreadState : std::uint8_t { ready, at_barrier, in_warp, done };

/// One thread of the running block, and what it waits for.
struct CudaThread {
  CudaThread(unsigned number, void (*entry)()) : fibre(number, entry) {}

  Fibre fibre;
  unsigned id = 0;  ///< in its block
  uint3 index{};
  ThreadState state = ThreadState::ready;
  Site site;
  BarrierKind barrier{};
  bool predicate = false;
  int barrier_result = 0;
  WarpRequest request{};
  WarpResult result{};
  unsigned order_slot = 0;
};

struct Warp {
  unsigned live = 0;     ///< lanes that have not returned
  unsigned arrived = 0;  ///< lanes that wait in a collective
  unsigned next_slot = 0;
};

/// The objects through which one block's threads are ordered for ThreadSanitizer. Fresh for each
/// block, so that no order leaks from one to the next.
struct BlockOrder {
  char barrier[2];  ///< alternate, so that a fast thread's next release is not acquired
  char warp[max_warps][64];
  char fence;
  char shared;  ///< creation of the shared variables
};

struct Machine {
  Options options;
  Statistics statistics;

  void (*kernel)(void*) = nullptr;
  void* closure = nullptr;
  const char* name = "";
  std::size_t dynamic_shared_bytes = 0, static_shared_bytes = 0;
  Schedule schedule;

  /// The running block's threads have the slots from first_slot on, as on a ring of slots_used.
  std::vector<std::unique_ptr<CudaThread>> slots;
  unsigned first_slot = 0, slots_used = 0, threads = 0;
  CudaThread* current = nullptr;
  std::array<Warp, max_warps> warps;
  unsigned barriers = 0;  ///< passed by the block
  SharedMemory shared;
  std::exception_ptr failure;  ///< of a thread

  std::unique_ptr<BlockOrder> order;
  char launch_order = 0, end_order = 0, fence_order = 0;
  void* janitor = nullptr;  ///< the TSan fibre that fills shared memory

  CudaThread& thread(unsigned id) {
    const unsigned slot = first_slot + id;
    return *slots[slot < slots_used ? slot : slot - slots_used];
  }
};
extern Machine machine;

/// "kernel<4>, block (0,1,0): ", the beginning of every message.
std::string block_text();
/// "norm.cu:41 (kernel)".
std::string site_text(const Site& site);
/// What the threads of the block do, in groups.
std::string threads_text();
bool same_site(const Site& a, const Site& b);

/// Lets those waiting at the block's barrier go on. Every thread has arrived or returned.
void release_barrier();
/// Completes this mask's collective if every lane of it that has not returned has arrived.
void try_collective(unsigned warp, unsigned mask);
/// A return may complete what the other lanes wait for.
void thread_returned(const CudaThread& thread);

}  // namespace affuse::emulation
