// Switching between stacks: 16 instructions on x86-64, ucontext elsewhere (or with
// AFFUSE_EMULATION_UCONTEXT).
#pragma once
#include <cstddef>

#if !defined(__x86_64__) || defined(AFFUSE_EMULATION_UCONTEXT)
#include <ucontext.h>
#endif

namespace affuse::emulation {

/// Where a suspended flow of control goes on.
class Context {
 public:
  /// The first switch here calls entry, which never returns, on this stack; `bytes` is a multiple
  /// of 16.
  void prepare(std::byte* stack, std::size_t bytes, void (*entry)());
  static void switch_to(Context& from, Context& to);

 private:
#if defined(__x86_64__) && !defined(AFFUSE_EMULATION_UCONTEXT)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_{};
#endif
};

}  // namespace affuse::emulation
