// Creating, setting and reading cuDNN's backend descriptors.
#include "kernels/cuda/cudnn/descriptor.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

// cuDNN explains its last error in several lines; errors here have one.
std::string last_error() {
  std::array<char, 512> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  std::string out(text.data(), std::find(text.begin(), text.end(), '\0'));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return out.substr(0, out.find_last_not_of(' ') + 1);
}

}  // namespace

void check(cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string why = last_error();
  throw DeviceError(fmt::format("cuDNN cannot {}: {}{}", doing, cudnnGetErrorString(status),
                                why.empty() ? "" : " (" + why + ")"));
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check(cudnnBackendCreateDescriptor(type, &raw_), "create a descriptor");
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(raw_, other.raw_);
  return *this;
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) cudnnBackendDestroyDescriptor(raw_);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                            std::int64_t count, const void* elements) {
  check(cudnnBackendSetAttribute(raw_, name, type, count, elements), "set an attribute");
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, std::int64_t value) {
  return set(name, CUDNN_TYPE_INT64, 1, &value);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name,
                            std::span<const std::int64_t> values) {
  return set(name, CUDNN_TYPE_INT64, std::ssize(values), values.data());
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  return set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, float value) {
  return set(name, CUDNN_TYPE_FLOAT, 1, &value);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_);
}

Descriptor& Descriptor::finalize() {
  check(cudnnBackendFinalize(raw_), "finalise a descriptor");
  return *this;
}

std::int64_t Descriptor::fill(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                              std::int64_t capacity, void* elements) const {
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(raw_, name, type, capacity, &count, elements),
        "read an attribute");
  return std::min(count, capacity);
}

std::int64_t Descriptor::count(cudnnBackendAttributeName_t name,
                               cudnnBackendAttributeType_t type) const {
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(raw_, name, type, 0, &count, nullptr), "count an attribute");
  return count;
}

std::int64_t Descriptor::integer(cudnnBackendAttributeName_t name) const {
  std::int64_t value = 0;
  fill(name, CUDNN_TYPE_INT64, 1, &value);
  return value;
}

std::vector<Descriptor> Descriptor::descriptors(cudnnBackendAttributeName_t name,
                                                cudnnBackendDescriptorType_t type,
                                                std::int64_t most) const {
  std::vector<Descriptor> out;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i) raw.push_back(out.emplace_back(type).get());
  const std::int64_t filled = fill(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, raw.data());
  out.erase(out.begin() + filled, out.end());
  return out;
}

Descriptor described_properties(const std::string& json) {
  Descriptor out(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  out.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::ssize(json),
          json.data());
  out.finalize();
  return out;
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
