// Memory that a kernel under test touches: exact-size host memory under the emulation, so that
// AddressSanitizer sees one byte too far; memory that CPU and GPU share on a GPU.
#pragma once
#include <cstddef>
#include <vector>

namespace affuse {

/// Zero bytes are not asked for; 16-byte aligned. Defined by emulated_device.cpp and by
/// tests/kernels/gpu/device.cpp.
void* allocate_on_device(std::size_t bytes);
void release_on_device(void* memory) noexcept;

/// Whether a * b + c is rounded once, as nvcc compiles it: results that the same expressions give
/// on the CPU, or in another kernel, then differ in their last places.
bool device_fuses_multiply_add();

template <class T>
struct DeviceAllocator {
  using value_type = T;
  DeviceAllocator() = default;
  template <class U>
  DeviceAllocator(const DeviceAllocator<U>& /*other*/) {}
  T* allocate(std::size_t count) { return static_cast<T*>(allocate_on_device(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t /*count*/) noexcept { release_on_device(memory); }
  template <class U>
  bool operator==(const DeviceAllocator<U>& /*other*/) const {
    return true;
  }
};

template <class T>
using DeviceVector = std::vector<T, DeviceAllocator<T>>;

/// One object there; copying it copies the object.
template <class T>
class DeviceValue {
 public:
  explicit DeviceValue(const T& value = T{}) : one_(1, value) {}
  T* get() { return one_.data(); }
  const T* get() const { return one_.data(); }
  T* operator->() { return get(); }
  const T* operator->() const { return get(); }
  T& operator*() { return *get(); }
  const T& operator*() const { return *get(); }

 private:
  DeviceVector<T> one_;
};

}  // namespace affuse
