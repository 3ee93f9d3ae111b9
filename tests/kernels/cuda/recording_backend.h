// A backend that keeps what each step wrote, as plain NCHW floats, so that two backends can be
// compared step by step although their arenas reuse memory.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "kernels/backend.h"

namespace affuse::recording {

/// The last value written to each buffer, by the buffer's name.
using Record = std::map<std::string, std::vector<float>>;

/// [N, C, H, W] or [N, C] in whatever layout and 16- or 32-bit type to plain floats.
inline std::vector<float> plain(const TensorDesc& desc, const void* data) {
  const auto read = [&](std::size_t i) {
    switch (desc.dtype) {
      case DType::bf16:
        return to_float(static_cast<const Bf16*>(data)[i]);
      case DType::f16:
        return to_float(static_cast<const Half*>(data)[i]);
      default:
        return static_cast<const float*>(data)[i];
    }
  };
  const auto dim = [&](int i) {
    return i < desc.shape.rank() ? static_cast<std::size_t>(desc.shape[i]) : std::size_t{1};
  };
  const std::size_t n = dim(0), c = dim(1), hw = dim(2) * dim(3);
  const std::size_t stored = desc.bytes / size_of(desc.dtype) / (n * hw);  // channels and padding
  const std::size_t block = desc.layout == Layout::blocked8    ? 8
                            : desc.layout == Layout::blocked16 ? 16
                            : desc.layout == Layout::nhwc      ? stored
                                                               : 1;
  std::vector<float> out;
  out.reserve(n * c * hw);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < c; ++k)
      for (std::size_t p = 0; p < hw; ++p)
        out.push_back(read(((i * (stored / block) + k / block) * hw + p) * block + k % block));
  return out;
}

class RecordingBackend : public Backend {
 public:
  RecordingBackend(std::unique_ptr<Backend> inner, Record& record)
      : inner_(std::move(inner)), record_(record) {}

  DeviceInfo info() const override { return inner_->info(); }
  ParameterLayout layout(const Graph& graph, const LowerSpec& spec) override {
    return inner_->layout(graph, spec);
  }
  void pack(ParamId id, std::span<const float> a, std::span<float> b) override {
    inner_->pack(id, a, b);
  }
  void unpack(ParamId id, std::span<const float> a, std::span<float> b) override {
    inner_->unpack(id, a, b);
  }
  Program lower(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                const EngineChoices* recorded) override {
    return inner_->lower(graph, spec, layout, recorded);
  }
  std::unique_ptr<Memory> allocate(std::size_t bytes) override { return inner_->allocate(bytes); }
  void upload(void* device, const void* host, std::size_t bytes) override {
    inner_->upload(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    inner_->download(host, device, bytes);
  }

  // A program a step: its buffers are read before the next step takes their memory.
  void start(const Program& program, const Frame& frame, bool prepare) override {
    for (const Step& step : program.steps) {
      if (step.once != prepare) continue;
      const Program one{program.name, program.buffers, {step}};
      inner_->run(one, frame, prepare);
      inner_->forget(one);
      for (const BufferId id : step.writes)
        keep(program.buffers[static_cast<std::size_t>(id)], frame.at<void>(id));
    }
  }

 private:
  void keep(const Buffer& buffer, const void* data) {
    const bool number = buffer.desc.dtype != DType::u8 && buffer.desc.dtype != DType::i32;
    if (buffer.life == Life::external || !number || record_.contains(buffer.name)) return;
    std::vector<std::byte> bytes(buffer.desc.bytes);
    inner_->download(bytes.data(), data, bytes.size());
    record_[buffer.name] = plain(buffer.desc, bytes.data());
  }

  std::unique_ptr<Backend> inner_;
  Record& record_;
};

}  // namespace affuse::recording
