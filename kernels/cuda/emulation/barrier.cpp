// Barriers of a block, and fences.
#include <atomic>

#include "kernels/cuda/emulation/machine.h"
#include "kernels/cuda/emulation/sanitizer.h"

namespace affuse::emulation {

int barrier(BarrierKind kind, bool predicate, const Site& site) {
  CudaThread& self = *machine.current;
  self.state = ThreadState::at_barrier;
  self.site = site;
  self.barrier = kind;
  self.predicate = predicate;
  void* order = machine.order ? &machine.order->barrier[machine.barriers % 2] : nullptr;
  sanitizer::release(order);
  self.fibre.suspend();
  sanitizer::acquire(order);
  return self.barrier_result;
}

void release_barrier() {
  const CudaThread* first = nullptr;
  int count = 0, waiting = 0;
  for (unsigned i = 0; i < machine.threads; ++i) {
    const CudaThread& t = machine.thread(i);
    if (t.state == ThreadState::done) continue;
    if (first == nullptr) first = &t;
    if (!same_site(first->site, t.site))
      throw KernelError(block_text() + "threads wait at different barriers: " + threads_text());
    ++waiting;
    count += t.predicate ? 1 : 0;
  }
  if (waiting != static_cast<int>(machine.threads) && !machine.options.allow_exited_at_barrier)
    throw KernelError(block_text() + "a barrier is not reached by all threads: " + threads_text());
  for (unsigned i = 0; i < machine.threads; ++i) {
    CudaThread& t = machine.thread(i);
    if (t.state == ThreadState::done) continue;
    const int all = count == waiting, any = count != 0;
    t.barrier_result = t.barrier == BarrierKind::count ? count
                       : t.barrier == BarrierKind::all ? all
                                                       : any;
    t.state = ThreadState::ready;
  }
  ++machine.barriers;
  ++machine.statistics.barriers;
}

void fence_block() {
  void* order = machine.order ? &machine.order->fence : nullptr;
  sanitizer::acquire(order);
  sanitizer::release(order);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void fence_device() {
  fence_block();
  sanitizer::acquire(&machine.fence_order);
  sanitizer::release(&machine.fence_order);
}

}  // namespace affuse::emulation
