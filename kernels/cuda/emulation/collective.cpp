// Warp collectives: a lane waits until every lane of its mask is there.
#include <cstring>

#include "kernels/cuda/emulation/machine.h"
#include "kernels/cuda/emulation/sanitizer.h"

namespace affuse::emulation {
namespace {

/// Not one std::memcpy of `bytes`: TSan intercepts its call, and sees a race on the lanes' stacks.
void copy(void* to, const void* from, unsigned bytes) {
  if (bytes == 4) {
    std::memcpy(to, from, 4);
  } else if (bytes == 8) {
    std::memcpy(to, from, 8);
  } else {
    auto* target = static_cast<volatile char*>(to);
    const auto* source = static_cast<const volatile char*>(from);
    for (unsigned i = 0; i < bytes; ++i) target[i] = source[i];
  }
}

template <class F>
void for_each_lane(unsigned warp, unsigned lanes, F f) {
  for (unsigned lane = 0; lane < warp_size; ++lane)
    if (lanes >> lane & 1u) f(machine.thread(warp * warp_size + lane));
}

void check_alike(unsigned warp, unsigned lanes) {
  const CudaThread* first = nullptr;
  for_each_lane(warp, lanes, [&](const CudaThread& t) {
    if (first == nullptr) first = &t;
    if (!same_site(first->site, t.site) || first->request.kind != t.request.kind ||
        first->request.bytes != t.request.bytes)
      throw KernelError(block_text() +
                        "lanes of one mask wait at different warp collectives: " + threads_text());
  });
}

void exchange(unsigned warp, unsigned lanes) {
  for_each_lane(warp, lanes, [&](CudaThread& t) {
    if (t.request.kind != WarpKind::shuffle) return;
    if (!(lanes >> t.request.source & 1u))
      throw KernelError(block_text() + "thread " + std::to_string(t.id) +
                        " shuffles from inactive lane " + std::to_string(t.request.source) +
                        " in " + site_text(t.site));
    copy(t.request.out, machine.thread(warp * warp_size + t.request.source).request.in,
         t.request.bytes);
  });
}

/// ThreadSanitizer: the order object that the lanes of this __syncwarp have in common.
void* join_order(CudaThread& self, unsigned warp) {
  if (!machine.order) return nullptr;
  const CudaThread* partner = nullptr;
  for_each_lane(warp, machine.warps[warp].arrived, [&](const CudaThread& t) {
    if (&t != &self && t.request.kind == WarpKind::sync && t.request.mask == self.request.mask)
      partner = &t;
  });
  self.order_slot = partner ? partner->order_slot : machine.warps[warp].next_slot++ % 64;
  return &machine.order->warp[warp][self.order_slot];
}

}  // namespace

WarpResult warp_collective(const WarpRequest& request, const Site& site) {
  CudaThread& self = *machine.current;
  const unsigned warp = self.id / warp_size, lane = self.id % warp_size;
  self.request = request;
  self.site = site;
  if (!(request.mask >> lane & 1u))
    throw KernelError(block_text() + "thread " + std::to_string(self.id) +
                      " is not in its own mask in " + site_text(site));
  self.state = ThreadState::in_warp;
  machine.warps[warp].arrived |= 1u << lane;
  // Shuffles and votes exchange registers; only __syncwarp orders memory.
  const bool orders = sanitizer::thread && request.kind == WarpKind::sync;
  void* order = orders ? join_order(self, warp) : nullptr;
  if (orders) sanitizer::release(order);
  try_collective(warp, request.mask);
  self.fibre.suspend();  // even when complete: who goes on first is the scheduler's choice
  if (orders) sanitizer::acquire(order);
  return self.result;
}

void try_collective(unsigned warp, unsigned mask) {
  const unsigned lanes = mask & machine.warps[warp].live;
  if (lanes == 0 || (machine.warps[warp].arrived & lanes) != lanes) return;
  bool together = true;
  unsigned ballot = 0;
  for_each_lane(warp, lanes, [&](const CudaThread& t) {
    together = together && t.request.mask == mask;  // else it waits in another group first
    if (t.request.predicate) ballot |= 1u << t.id % warp_size;
  });
  if (!together) return;
  check_alike(warp, lanes);
  exchange(warp, lanes);
  for_each_lane(warp, lanes, [&](CudaThread& t) {
    t.result = {ballot, lanes};
    t.state = ThreadState::ready;
  });
  machine.warps[warp].arrived &= ~lanes;
  ++machine.statistics.warp_collectives;
}

void thread_returned(const CudaThread& thread) {
  const unsigned warp = thread.id / warp_size;
  machine.warps[warp].live &= ~(1u << thread.id % warp_size);
  for_each_lane(warp, machine.warps[warp].arrived, [&](const CudaThread& t) {
    if (t.state == ThreadState::in_warp) try_collective(warp, t.request.mask);
  });
}

unsigned active_mask() { return machine.warps[machine.current->id / warp_size].live; }

}  // namespace affuse::emulation
