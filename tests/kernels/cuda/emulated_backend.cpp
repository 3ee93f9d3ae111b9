// The CUDA backend without a GPU: its lowering and its own kernels on the emulation, convolutions
// and products from plain loops.
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/cuda/lowering_backend.h"
#include "tests/kernels/cuda/program_rig.h"
#include "tests/kernels/cuda/reference_vendor.h"

namespace affuse::cuda_emulated {
namespace {

class HostMemory : public Memory {
 public:
  explicit HostMemory(std::size_t bytes) : words_(bytes / sizeof(Word) + 1), bytes_(bytes) {}
  void* data() const override { return const_cast<Word*>(words_.data()); }
  std::size_t bytes() const override { return bytes_; }

 private:
  struct alignas(256) Word {
    std::byte byte[256] = {};
  };
  std::vector<Word> words_;
  std::size_t bytes_;
};

class EmulatedBackend : public LoweringBackend {
 public:
  EmulatedBackend() : LoweringBackend(std::make_unique<ReferenceVendor>()) {}

  DeviceInfo info() const override {
    DeviceInfo out;
    out.name = "emulated";
    return out;
  }

  std::unique_ptr<Memory> allocate(std::size_t bytes) override {
    return std::make_unique<HostMemory>(bytes);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  void start(const Program& program, const Frame& frame, bool prepare) override {
    for (const Step& step : program.steps)
      if (step.once == prepare) step.run(frame);
  }
};

}  // namespace

}  // namespace affuse::cuda_emulated

namespace affuse {

std::unique_ptr<Backend> make_backend_under_test() {
  return std::make_unique<cuda_emulated::EmulatedBackend>();
}

program::Agreement program::fp32_agreement() { return {1e-4, 2e-5, 1e-4, false}; }

}  // namespace affuse
