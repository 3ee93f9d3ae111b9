// cuDNN's backend API in a thin layer: a descriptor is created, given attributes, finalised and
// asked. Every status is checked; errors carry cuDNN's own words.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cudnn.h>

#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Throws DeviceError "cuDNN cannot <doing>: <status> (<cuDNN's explanation>)" unless successful.
void check(cudnnStatus_t status, const char* doing);

/// Owns one backend descriptor.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  cudnnBackendDescriptor_t get() const { return raw_; }

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  std::int64_t count, const void* elements);
  Descriptor& set(cudnnBackendAttributeName_t name, std::int64_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values);
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, float value);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& finalize();

  std::int64_t integer(cudnnBackendAttributeName_t name) const;
  /// How many elements the attribute says to have. cuDNN 9.19 says 0 of knob choices, always.
  std::int64_t count(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const;
  /// The elements, at most `most`, of an attribute whose C type is T.
  template <class T>
  std::vector<T> values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                        std::int64_t most) const {
    std::vector<T> out(static_cast<std::size_t>(most));
    out.resize(static_cast<std::size_t>(fill(name, type, most, out.data())));
    return out;
  }
  /// The descriptors, at most `most` and each of `type`, of an attribute.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name,
                                      cudnnBackendDescriptorType_t type, std::int64_t most) const;

 private:
  std::int64_t fill(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                    std::int64_t capacity, void* elements) const;

  cudnnBackendDescriptor_t raw_ = nullptr;
};

/// The properties of a GPU from JSON.
Descriptor described_properties(const std::string& json);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
