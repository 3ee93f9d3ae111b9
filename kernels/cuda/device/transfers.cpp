#include "kernels/cuda/device/transfers.h"

#include <algorithm>
#include <cstring>

namespace affuse::cuda {

Transfers::Transfers() {
  // Events that were never recorded count as reached.
  check(cudaEventRecord(delivered_.get(), copy_.get()), "recording an event");
}

void Transfers::upload(void* device, const void* host, std::size_t bytes, bool busy) {
  if (bytes == 0) return;
  // Neither the inbox nor a buffer may be written before its last letter was delivered.
  check(cudaStreamWaitEvent(copy_.get(), delivered_.get()), "waiting for the inbox");
  auto* to = static_cast<std::byte*>(device);
  if (busy) {
    std::byte* space = inbox_space(bytes);
    letters_.push_back({to, space, bytes});
    to = space;
  }
  const auto* from = static_cast<const std::byte*>(host);
  for (std::size_t done = 0; done < bytes;) {
    Slot& slot = slots_[next_];
    next_ = (next_ + 1) % slots_.size();
    const std::size_t part = std::min(bytes - done, kSlotBytes);
    check(cudaEventSynchronize(slot.free.get()), "waiting for a copy");
    std::memcpy(slot.memory.data(), from + done, part);
    check(cudaMemcpyAsync(to + done, slot.memory.data(), part, cudaMemcpyHostToDevice, copy_.get()),
          "copying to the device");
    check(cudaEventRecord(slot.free.get(), copy_.get()), "recording an event");
    done += part;
  }
}

void Transfers::order_before(cudaStream_t compute) {
  check(cudaEventRecord(copied_.get(), copy_.get()), "recording an event");
  check(cudaStreamWaitEvent(compute, copied_.get()), "waiting for copies");
}

void Transfers::deliver(cudaStream_t compute) {
  if (letters_.empty()) return;
  order_before(compute);
  for (const Letter& l : letters_)
    check(cudaMemcpyAsync(l.to, l.from, l.bytes, cudaMemcpyDeviceToDevice, compute),
          "delivering the inbox");
  check(cudaEventRecord(delivered_.get(), compute), "recording an event");
  letters_.clear();
  block_ = used_ = 0;
}

void Transfers::wait() const { check(cudaStreamSynchronize(copy_.get()), "copying to the device"); }

std::byte* Transfers::inbox_space(std::size_t bytes) {
  constexpr std::size_t kAlign = 256;
  const std::size_t room = (bytes + kAlign - 1) / kAlign * kAlign;
  while (block_ < inbox_.size() && inbox_[block_]->bytes() - used_ < room) {
    ++block_;
    used_ = 0;
  }
  if (block_ == inbox_.size()) inbox_.push_back(std::make_unique<DeviceMemory>(room));
  std::byte* space = static_cast<std::byte*>(inbox_[block_]->data()) + used_;
  used_ += room;
  return space;
}

}  // namespace affuse::cuda
