// The stack switch.
#include "kernels/cuda/emulation/context.h"

#include <algorithm>

#if defined(__x86_64__) && !defined(AFFUSE_EMULATION_UCONTEXT)

// Saves the callee's registers of the System V ABI on the old stack, takes them from the new one.
asm(R"(
.text
.p2align 4
.type affuse_emulation_switch, @function
affuse_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size affuse_emulation_switch, . - affuse_emulation_switch
)");
extern "C" void affuse_emulation_switch(void** save, void* load);

namespace affuse::emulation {

void Context::prepare(std::byte* stack, std::size_t bytes, void (*entry)()) {
  // Six registers, the address to go to, and a null return address that ends every unwinding.
  auto** top = reinterpret_cast<void**>(stack + bytes - 8 * sizeof(void*));
  std::fill(top, top + 8, nullptr);
  top[6] = reinterpret_cast<void*>(entry);
  stack_pointer_ = top;
}

void Context::switch_to(Context& from, Context& to) {
  affuse_emulation_switch(&from.stack_pointer_, to.stack_pointer_);
}

}  // namespace affuse::emulation

#else

namespace affuse::emulation {

void Context::prepare(std::byte* stack, std::size_t bytes, void (*entry)()) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

void Context::switch_to(Context& from, Context& to) { swapcontext(&from.context_, &to.context_); }

}  // namespace affuse::emulation

#endif
