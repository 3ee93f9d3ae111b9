// Fibres and their sanitizer annotations.
#include "kernels/cuda/emulation/fibre.h"

#include <new>
#include <utility>

#include <sys/mman.h>

#include "kernels/cuda/emulation/sanitizer.h"

namespace affuse::emulation {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024, guard_bytes = 4096;

/// The scheduler's own flow of control, on the stack of the host thread that launches.
struct Host {
  Context context;
  void* tsan = nullptr;
  void* fake_stack = nullptr;
  const void* stack = nullptr;
  std::size_t stack_bytes = 0;
};
Host host;

std::byte* map_stack() {
  void* pages = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  mprotect(pages, guard_bytes, PROT_NONE);  // a stack that overflows stops here
  return static_cast<std::byte*>(pages);
}

}  // namespace

void Fibre::Unmap::operator()(std::byte* pages) const { munmap(pages, guard_bytes + stack_bytes); }

Fibre::Fibre(unsigned number, void (*entry)())
    : number_(number), entry_(entry), pages_(map_stack()) {
  restart();
}

Fibre::~Fibre() {
  sanitizer::forget(pages_.get() + guard_bytes, stack_bytes);
  if (tsan_) sanitizer::destroy_fibre(tsan_);
}

void Fibre::restart() {
  std::byte* stack = pages_.get() + guard_bytes;
  sanitizer::forget(stack, stack_bytes);
  fake_stack_ = nullptr;
  if (tsan_) sanitizer::destroy_fibre(tsan_);
  tsan_ = sanitizer::create_fibre();
  context_.prepare(stack, stack_bytes - number_ % 61 * 192, entry_);
}

void Fibre::resume() {
  sanitizer::leave(&host.fake_stack, pages_.get() + guard_bytes, stack_bytes);
  sanitizer::become(tsan_);
  Context::switch_to(host.context, context_);
  sanitizer::arrive(host.fake_stack, nullptr, nullptr);
}

void Fibre::started() { sanitizer::arrive(fake_stack_, &host.stack, &host.stack_bytes); }

void Fibre::suspend() {
  sanitizer::leave(&fake_stack_, host.stack, host.stack_bytes);
  sanitizer::become(host.tsan);
  Context::switch_to(context_, host.context);
  sanitizer::arrive(fake_stack_, &host.stack, &host.stack_bytes);
}

void adopt_host_thread() { host.tsan = sanitizer::current_fibre(); }
void* host_thread() { return host.tsan; }

}  // namespace affuse::emulation
