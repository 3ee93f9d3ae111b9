// What ASan and TSan must be told of fibres; nothing in a build without them. With TSan the sources
// of this folder are compiled with -fno-sanitize=thread -DAFFUSE_EMULATION_TSAN: the scheduler
// works on behalf of all threads, so its own memory accesses would look like races.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(AFFUSE_EMULATION_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace affuse::emulation::sanitizer {

#if defined(AFFUSE_EMULATION_TSAN)
inline constexpr bool thread = true;
inline void* create_fibre() { return __tsan_create_fiber(0); }
inline void destroy_fibre(void* fibre) { __tsan_destroy_fiber(fibre); }
inline void* current_fibre() { return __tsan_get_current_fiber(); }
/// From here on accesses count as that fibre's. Orders nothing.
inline void become(void* fibre) { __tsan_switch_to_fiber(fibre, __tsan_switch_to_fiber_no_sync); }
/// What happened before a release of an object happens before what follows its acquire.
inline void acquire(void* object) { __tsan_acquire(object); }
inline void release(void* object) { __tsan_release(object); }
#else
inline constexpr bool thread = false;
inline void* create_fibre() { return nullptr; }
inline void destroy_fibre(void* /*fibre*/) {}
inline void* current_fibre() { return nullptr; }
inline void become(void* /*fibre*/) {}
inline void acquire(void* /*object*/) {}
inline void release(void* /*object*/) {}
#endif

#if defined(__SANITIZE_ADDRESS__)
/// Before and after a switch of stacks; `fake` keeps the fake stack of the flow that is left.
inline void leave(void** fake, const void* to, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake, to, bytes);
}
inline void arrive(void* fake, const void** from, std::size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake, from, bytes);
}
inline void forget(void* stack, std::size_t bytes) { __asan_unpoison_memory_region(stack, bytes); }
#else
inline void leave(void** /*fake*/, const void* /*to*/, std::size_t /*bytes*/) {}
inline void arrive(void* /*fake*/, const void** /*from*/, std::size_t* /*bytes*/) {}
inline void forget(void* /*stack*/, std::size_t /*bytes*/) {}
#endif

}  // namespace affuse::emulation::sanitizer
