// CUDA's atomic functions: relaxed, as on the device, and visible to ThreadSanitizer as atomic.
#pragma once
#include <atomic>
#include <type_traits>

namespace affuse::emulation {

/// Replaces *address by change(old); returns old.
template <class T, class Change>
T modify(T* address, Change change) {
  const std::atomic_ref<T> number(*address);
  T old = number.load(std::memory_order_relaxed);
  while (!number.compare_exchange_weak(old, change(old), std::memory_order_relaxed)) {
  }
  return old;
}

}  // namespace affuse::emulation

template <class T>
T atomicAdd(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return static_cast<T>(old + x); });
}
template <class T>
T atomicSub(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return static_cast<T>(old - x); });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return old < x ? x : old; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return x < old ? x : old; });
}
template <class T>
T atomicAnd(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return old & x; });
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T old) { return old | x; });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [x](T) { return x; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> x) {
  return affuse::emulation::modify(p, [=](T old) { return old == expected ? x : old; });
}
/// old >= last ? 0 : old + 1.
inline unsigned atomicInc(unsigned* p, unsigned last) {
  return affuse::emulation::modify(p, [last](unsigned old) { return old >= last ? 0u : old + 1; });
}
