// Shared memory of blocks.
#include "kernels/cuda/emulation/shared_memory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace affuse::emulation {

void* SharedMemory::find(const void* key) const {
  for (const Variable& v : variables_)
    if (v.key == key) return v.memory.get();
  return nullptr;
}

void* SharedMemory::create(const void* key, std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  // Exactly `bytes` long, so that ASan sees one byte too far.
  if (posix_memalign(&memory, std::max<std::size_t>(alignment, 16),
                     std::max<std::size_t>(bytes, 1)))
    throw std::bad_alloc();
  std::memset(memory, 0xFF, bytes);
  variables_.push_back({key, std::unique_ptr<void, Free>(memory)});
  return memory;
}

void SharedMemory::end_block(bool keep) {
  if (keep)
    for (Variable& v : variables_) kept_.push_back(std::move(v.memory));
  variables_.clear();
}

void SharedMemory::clear() {
  end_block(false);
  kept_.clear();
}

}  // namespace affuse::emulation
