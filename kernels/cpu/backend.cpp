// The CPU backend: oneDNN and own kernels behind the Backend interface.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/lowering.h"
#include "kernels/cpu/parallel.h"

namespace affuse {
namespace cpu {
namespace {

constexpr std::size_t kAlignment = 64;

class HostMemory : public Memory {
 public:
  explicit HostMemory(std::size_t bytes) : bytes_(std::max<std::size_t>(bytes, 1)) {
    const std::size_t rounded = (bytes_ + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(std::aligned_alloc(kAlignment, rounded));
    if (data_ == nullptr)
      throw DeviceError(
          fmt::format("{} MiB of memory are not to be had; a smaller "
                      "train.batch_size needs less",
                      bytes_ >> 20));
    std::memset(data_.get(), 0, rounded);
  }
  void* data() const override { return data_.get(); }
  std::size_t bytes() const override { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::size_t bytes_;
  std::unique_ptr<void, Free> data_;
};

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) {
      const auto colon = line.find(':');
      if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
    }
  return "unknown processor";
}

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads) {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    threads_ = threads > 0 ? threads : cores;
    set_threads(threads_);
  }

  DeviceInfo info() const override {
    DeviceInfo out;
    out.name = "cpu";
    out.threads = threads_;
    out.hardware = fmt::format("{}, {} threads, {}", processor_name(), threads_, isa_name());
    out.libraries = onednn_version();
    if (!dnn_.native_bf16)
      out.precision_note =
          "bf16 convolutions are emulated in fp32 on bf16-rounded values: this processor has no "
          "AVX-512";
    return out;
  }

  ParameterLayout layout(const Graph& graph, const LowerSpec& spec) override {
    params_ = graph.params();
    descs_ = weight_descs(dnn_, graph, spec);
    return parameter_layout(graph, descs_);
  }

  void pack(ParamId id, std::span<const float> plain, std::span<float> stored) override {
    const auto i = static_cast<std::size_t>(id);
    if (params_.at(i).kind == ParamKind::conv_weight)
      return pack_weights(dnn_, dims(i), descs_[i], plain.data(), stored.data());
    std::copy(plain.begin(), plain.end(), stored.begin());
  }

  void unpack(ParamId id, std::span<const float> stored, std::span<float> plain) override {
    const auto i = static_cast<std::size_t>(id);
    if (params_.at(i).kind == ParamKind::conv_weight)
      return unpack_weights(dnn_, dims(i), descs_[i], stored.data(), plain.data());
    std::copy(stored.begin(), stored.end(), plain.begin());
  }

  Program lower(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                const EngineChoices* recorded) override {
    return Lowering(dnn_, graph, spec, layout, descs_, recorded, ranks()).take();
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

 private:
  dnnl::memory::dims dims(std::size_t i) const {
    const Shape& s = params_[i].shape;
    return {s[0], s[1], s[2], s[3]};
  }

  OneDnn dnn_;
  int threads_ = 1;
  std::vector<Param> params_;
  WeightDescs descs_;
};

}  // namespace
}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<cpu::CpuBackend>(threads);
}

}  // namespace affuse
