// ResNet-18's distinct convolutions as the CUDA program poses them to a vendor.
#pragma once
#include <string>
#include <vector>

#include "engine/error.h"
#include "kernels/cuda/vendor.h"

namespace cudnn_test {

namespace gpu = affuse::AFFUSE_CUDA_NAMESPACE;

struct Format {
  const char* name;
  affuse::DType type;
  bool tensor_float32;
};
inline constexpr Format kFormats[] = {{"fp16", affuse::DType::f16, false},
                                      {"bf16", affuse::DType::bf16, false},
                                      {"tf32", affuse::DType::f32, true},
                                      {"fp32", affuse::DType::f32, false}};
inline constexpr const char* kDevices[] = {"sm75", "sm80", "sm90"};
inline constexpr std::size_t kCap = std::size_t{256} << 20;

/// Batch 256, 224x224; the stem's 3 channels padded to 16 bytes; it needs no data gradient.
inline std::vector<gpu::ConvProblem> resnet18_convs(const Format& format) {
  struct Layer {
    int in, out, size, kernel, stride;
  };
  const int stem = format.type == affuse::DType::f32 ? 4 : 8;
  const Layer layers[] = {{stem, 64, 224, 7, 2}, {64, 64, 56, 3, 1},   {64, 128, 56, 3, 2},
                          {64, 128, 56, 1, 2},   {128, 128, 28, 3, 1}, {128, 256, 28, 3, 2},
                          {128, 256, 28, 1, 2},  {256, 256, 14, 3, 1}, {256, 512, 14, 3, 2},
                          {256, 512, 14, 1, 2},  {512, 512, 7, 3, 1}};
  std::vector<gpu::ConvProblem> out;
  for (const Layer& l : layers)
    for (const auto kind : {gpu::ConvKind::forward, gpu::ConvKind::data, gpu::ConvKind::weights}) {
      if (l.in == stem && kind == gpu::ConvKind::data) continue;
      out.push_back({kind, 256, l.in, l.out, l.size, l.size, l.kernel, l.stride, l.kernel / 2,
                     format.type, format.tensor_float32, false});
    }
  return out;
}

/// The message of the DeviceError that f() must throw; empty when it throws none.
template <class F>
std::string refusal_of(F f) {
  try {
    f();
  } catch (const affuse::DeviceError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace cudnn_test
