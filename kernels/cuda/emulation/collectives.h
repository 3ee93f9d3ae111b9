// Barriers, warp shuffles and votes, and fences, by CUDA's names.
#pragma once
#include <type_traits>

#include "kernels/cuda/emulation/language.h"

namespace affuse::emulation {

inline int lane() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) %
                          32);
}

template <class T>
T shuffle(unsigned mask, const T& value, int source, const Site& site) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  T out;
  WarpRequest request{WarpKind::shuffle, mask};
  request.source = static_cast<unsigned>(source) % 32;
  request.bytes = sizeof(T);
  request.in = &value;
  request.out = &out;
  warp_collective(request, site);
  return out;
}

inline WarpResult vote(unsigned mask, bool predicate, const Site& site) {
  return warp_collective({WarpKind::vote, mask, predicate}, site);
}

}  // namespace affuse::emulation

inline void __syncthreads(
    const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  affuse::emulation::barrier(affuse::emulation::BarrierKind::sync, false, site);
}
inline int __syncthreads_count(
    int predicate, const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  return affuse::emulation::barrier(affuse::emulation::BarrierKind::count, predicate != 0, site);
}
inline int __syncthreads_and(
    int predicate, const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  return affuse::emulation::barrier(affuse::emulation::BarrierKind::all, predicate != 0, site);
}
inline int __syncthreads_or(
    int predicate, const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  return affuse::emulation::barrier(affuse::emulation::BarrierKind::any, predicate != 0, site);
}
inline void __syncwarp(unsigned mask = ~0u,
                       const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  affuse::emulation::warp_collective({affuse::emulation::WarpKind::sync, mask}, site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  const int lane = affuse::emulation::lane();
  const int from = (lane & ~(width - 1)) + (source & (width - 1));
  return affuse::emulation::shuffle(mask, value, from, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  const int lane = affuse::emulation::lane(), from = lane ^ bits;
  const int last = lane | (width - 1);
  return affuse::emulation::shuffle(mask, value, from > last ? lane : from, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  const int lane = affuse::emulation::lane(), by = static_cast<int>(delta);
  const bool outside = (lane & (width - 1)) + by >= width;
  return affuse::emulation::shuffle(mask, value, outside ? lane : lane + by, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  const int lane = affuse::emulation::lane(), by = static_cast<int>(delta);
  const bool outside = (lane & (width - 1)) < by;
  return affuse::emulation::shuffle(mask, value, outside ? lane : lane - by, site);
}

inline unsigned __ballot_sync(
    unsigned mask, int predicate,
    const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  return affuse::emulation::vote(mask, predicate != 0, site).ballot;
}
inline int __any_sync(unsigned mask, int predicate,
                      const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  return affuse::emulation::vote(mask, predicate != 0, site).ballot != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const affuse::emulation::Site& site = affuse::emulation::Site::current()) {
  const affuse::emulation::WarpResult result = affuse::emulation::vote(mask, predicate != 0, site);
  return result.ballot == result.active;
}
inline unsigned __activemask() { return affuse::emulation::active_mask(); }

inline void __threadfence() { affuse::emulation::fence_device(); }
inline void __threadfence_block() { affuse::emulation::fence_block(); }
inline void __nanosleep(unsigned /*nanoseconds*/) {}
