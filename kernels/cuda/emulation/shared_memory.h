// The shared memory of blocks: a heap block of the exact size for each variable.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

namespace affuse::emulation {

class SharedMemory {
 public:
  /// The running block's variable, or null.
  void* find(const void* key) const;
  /// Filled with 0xFF: NaN in every floating-point type.
  void* create(const void* key, std::size_t bytes, std::size_t alignment);

  /// The next block begins. Memory that may not be given out again yet is kept.
  void end_block(bool keep);
  void clear();

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  struct Variable {
    const void* key;
    std::unique_ptr<void, Free> memory;
  };

  std::vector<Variable> variables_;
  std::vector<std::unique_ptr<void, Free>> kept_;
};

}  // namespace affuse::emulation
