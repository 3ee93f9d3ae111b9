// Runs a launch: its blocks one after the other, the threads of a block as fibres.
#include <algorithm>
#include <mutex>
#include <utility>

#include "kernels/cuda/emulation/language.h"
#include "kernels/cuda/emulation/machine.h"
#include "kernels/cuda/emulation/sanitizer.h"

namespace affuse::emulation {

Machine machine;

namespace {

std::mutex launch_mutex;

/// What every fibre does: the kernel, once for each block.
void thread_main() {
  machine.current->fibre.started();
  for (;;) {
    CudaThread& self = *machine.current;
    sanitizer::acquire(&machine.launch_order);
    try {
      machine.kernel(machine.closure);
      self.state = ThreadState::done;
      thread_returned(self);
    } catch (...) {
      machine.failure = std::current_exception();
      self.state = ThreadState::done;
    }
    sanitizer::release(&machine.end_order);
    self.fibre.suspend();
  }
}

void check_launch(dim3 grid, dim3 block, std::size_t shared_bytes) {
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  std::string wrong;
  if (threads == 0 || threads > max_threads || block.x > max_threads || block.y > max_threads ||
      block.z > 64)
    wrong = "a block of " + std::to_string(block.x) + "x" + std::to_string(block.y) + "x" +
            std::to_string(block.z) + " threads";
  else if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
    wrong = "a grid of " + std::to_string(grid.x) + "x" + std::to_string(grid.y) + "x" +
            std::to_string(grid.z) + " blocks";
  else if (shared_bytes > machine.options.max_shared)
    wrong = std::to_string(shared_bytes) + " bytes of dynamic shared memory";
  if (!wrong.empty()) throw KernelError(block_text() + "invalid launch configuration: " + wrong);
}

void need_slots() {
  while (machine.slots.size() < machine.slots_used)
    machine.slots.push_back(
        std::make_unique<CudaThread>(static_cast<unsigned>(machine.slots.size()), thread_main));
}

void resume(CudaThread& thread) {
  machine.current = &thread;
  threadIdx = thread.index;
  thread.fibre.resume();
  machine.current = nullptr;
  if (machine.failure) {
    sanitizer::acquire(&machine.end_order);
    std::rethrow_exception(std::exchange(machine.failure, nullptr));
  }
}

void begin_block() {
  for (unsigned id = 0; id < machine.threads; ++id) {
    CudaThread& t = machine.thread(id);
    t.id = id;
    t.state = ThreadState::ready;
    t.index = {id % blockDim.x, id / blockDim.x % blockDim.y, id / blockDim.x / blockDim.y};
  }
  for (unsigned w = 0; w < max_warps; ++w) {
    const unsigned first = w * warp_size;
    const unsigned lanes = machine.threads > first ? machine.threads - first : 0;
    machine.warps[w] = {lanes >= warp_size ? ~0u : (1u << lanes) - 1, 0, 0};
  }
  if (sanitizer::thread) machine.order = std::make_unique<BlockOrder>();
  machine.static_shared_bytes = 0;
  machine.schedule.begin_block();
  ++machine.statistics.blocks;
}

struct Round {
  unsigned done = 0, at_barrier = 0;
  bool progress = false;
};

Round run_round() {
  Round round;
  for (unsigned k = 0; k < machine.threads; ++k) {
    CudaThread& t = machine.thread(machine.schedule.thread(k));
    if (t.state == ThreadState::ready && !machine.schedule.holds(t.id / warp_size)) {
      round.progress = true;
      resume(t);
    }
    round.done += t.state == ThreadState::done;
    round.at_barrier += t.state == ThreadState::at_barrier;
  }
  return round;
}

void run_block() {
  begin_block();
  bool stalled = false;
  for (;;) {
    machine.schedule.begin_round(stalled);
    const Round round = run_round();
    if (round.done == machine.threads) return;
    stalled = !round.progress;
    if (round.progress || machine.schedule.holds_any()) continue;
    if (round.done + round.at_barrier != machine.threads)
      throw KernelError(block_text() + "threads wait for each other: " + threads_text());
    release_barrier();
  }
}

/// After an error threads stand in the midst of the kernel. All they did happens before what
/// follows.
void abandon_threads() {
  for (unsigned id = 0; id < machine.threads; ++id) {
    CudaThread& t = machine.thread(id);
    if (t.state == ThreadState::done) continue;
    sanitizer::become(t.fibre.tsan());
    sanitizer::release(&machine.end_order);
    sanitizer::become(host_thread());
    t.fibre.restart();
  }
  sanitizer::acquire(&machine.end_order);
  machine.shared.clear();
}

/// For ThreadSanitizer what one fibre does is in order. Blocks that begin on different slots of a
/// ring leave no two of their threads with the same number on one fibre.
unsigned other_slot() {
  const auto step = 1 + machine.schedule.random() % (machine.slots_used - 1);
  return static_cast<unsigned>((machine.first_slot + step) % machine.slots_used);
}

void run_blocks(std::uint64_t blocks) {
  const bool races = machine.options.interblock_races;
  sanitizer::release(&machine.launch_order);
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t number = machine.schedule.block(i);
    blockIdx = {static_cast<unsigned>(number % gridDim.x),
                static_cast<unsigned>(number / gridDim.x % gridDim.y),
                static_cast<unsigned>(number / gridDim.x / gridDim.y)};
    if (races) machine.first_slot = other_slot();
    run_block();
    sanitizer::acquire(&machine.end_order);
    if (!races) sanitizer::release(&machine.launch_order);
    machine.shared.end_block(races);
  }
  machine.shared.clear();
}

void count_static_shared(std::size_t bytes) {
  const std::size_t used = machine.static_shared_bytes += bytes;
  const std::size_t limit = std::min(machine.options.max_static_shared,
                                     machine.options.max_shared - machine.dynamic_shared_bytes);
  if (used > limit)
    throw KernelError(block_text() + "too much shared memory: " + std::to_string(used) +
                      " bytes beside " + std::to_string(machine.dynamic_shared_bytes) +
                      " dynamic ones, limit " + std::to_string(limit));
}

void* shared_pointer(const void* key, std::size_t bytes, std::size_t alignment, bool is_static) {
  void* pointer = machine.shared.find(key);
  if (pointer == nullptr) {
    if (is_static) count_static_shared(bytes);
    sanitizer::become(machine.janitor);
    pointer = machine.shared.create(key, bytes, alignment);
    if (machine.order) sanitizer::release(&machine.order->shared);
    sanitizer::become(machine.current->fibre.tsan());
  }
  if (machine.order) sanitizer::acquire(&machine.order->shared);
  return pointer;
}

}  // namespace

Options& options() { return machine.options; }
const Statistics& statistics() { return machine.statistics; }

void* shared_variable(const void* key, std::size_t bytes, std::size_t alignment) {
  return shared_pointer(key, bytes, alignment, true);
}

void* dynamic_shared(std::size_t alignment) {
  return shared_pointer(&machine.dynamic_shared_bytes, machine.dynamic_shared_bytes, alignment,
                        false);
}

void run(void (*kernel)(void*), void* closure, const char* name, dim3 grid, dim3 block,
         std::size_t shared_bytes) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  thread_local bool launching = false;
  if (launching) throw KernelError(block_text() + "launches a kernel; only the host can");
  const std::lock_guard lock(launch_mutex);
  machine.name = name;
  blockIdx = {};
  check_launch(grid, block, shared_bytes);
  machine.kernel = kernel;
  machine.closure = closure;
  machine.dynamic_shared_bytes = shared_bytes;
  machine.threads = block.x * block.y * block.z;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  machine.schedule = Schedule(machine.options, machine.threads, blocks);
  gridDim = grid;
  blockDim = block;
  adopt_host_thread();
  if (sanitizer::thread && machine.janitor == nullptr) machine.janitor = sanitizer::create_fibre();
  machine.first_slot = 0;
  machine.slots_used = machine.threads + (machine.options.interblock_races ? 1 : 0);
  need_slots();
  ++machine.statistics.launches;
  launching = true;
  try {
    run_blocks(blocks);
  } catch (...) {
    abandon_threads();
    launching = false;
    throw;
  }
  launching = false;
}

}  // namespace affuse::emulation
