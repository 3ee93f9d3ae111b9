// Host to device beside the computation: a ring of page-locked slots, a copy stream, and an inbox
// for what arrives while a program runs.
#pragma once
#include <array>
#include <vector>

#include "kernels/cuda/device/runtime.h"

namespace affuse::cuda {

class Transfers {
 public:
  Transfers();

  /// Copies `bytes` of the caller's memory, which is free again on return. While a program runs
  /// (busy) its buffers are in use: the bytes wait in the inbox for deliver().
  void upload(void* device, const void* host, std::size_t bytes, bool busy);
  /// What `compute` is given from now on sees every upload so far.
  void order_before(cudaStream_t compute);
  /// Behind the program that ran: moves the inbox to where it was addressed.
  void deliver(cudaStream_t compute);
  /// Waits for all copies.
  void wait() const;

 private:
  static constexpr std::size_t kSlotBytes = std::size_t{16} << 20;

  struct Slot {
    PinnedMemory memory{kSlotBytes};
    EventHandle free = make_event();
  };
  struct Letter {
    void* to;
    std::byte* from;
    std::size_t bytes;
  };

  std::byte* inbox_space(std::size_t bytes);

  StreamHandle copy_ = make_stream();
  EventHandle copied_ = make_event();
  EventHandle delivered_ = make_event();
  std::array<Slot, 4> slots_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<DeviceMemory>> inbox_;  // blocks, filled in turn
  std::size_t block_ = 0, used_ = 0;
  std::vector<Letter> letters_;
};

}  // namespace affuse::cuda
