#include "kernels/cuda/layout.h"

#include <algorithm>

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

// f(index in OIHW, index in KRSC) for every weight.
template <class F>
void each_weight(const Shape& s, DType type, F f) {
  const auto padded = static_cast<std::int64_t>(padded_channels(static_cast<int>(s[1]), type));
  for (std::int64_t k = 0; k < s[0]; ++k)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t y = 0; y < s[2]; ++y)
        for (std::int64_t x = 0; x < s[3]; ++x)
          f(static_cast<std::size_t>(((k * s[1] + c) * s[2] + y) * s[3] + x),
            static_cast<std::size_t>(((k * s[2] + y) * s[3] + x) * padded + c));
}

}  // namespace

DType activation_type(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return DType::bf16;
    case Precision::fp16:
      return DType::f16;
    case Precision::fp32:
    case Precision::tf32:
      break;
  }
  return DType::f32;
}

int padded_channels(int channels, DType type) {
  const int pack = 16 / static_cast<int>(size_of(type));
  return (channels + pack - 1) / pack * pack;
}

ParameterLayout parameter_layout(const Graph& graph, DType type) {
  constexpr std::size_t kAlign = 64;  // floats
  ParameterLayout layout;
  for (const Param& p : graph.params()) {
    Slot slot;
    slot.running = !p.trainable();
    slot.count = static_cast<std::size_t>(p.shape.count());
    if (p.kind == ParamKind::conv_weight)
      slot.count = slot.count / static_cast<std::size_t>(p.shape[1]) *
                   static_cast<std::size_t>(padded_channels(static_cast<int>(p.shape[1]), type));
    std::size_t& end = slot.running ? layout.running : layout.weights;
    slot.offset = end;
    end = (end + slot.count + kAlign - 1) / kAlign * kAlign;
    layout.slots.push_back(slot);
  }
  return layout;
}

void pack_weights(const Shape& shape, DType type, std::span<const float> plain,
                  std::span<float> stored) {
  std::fill(stored.begin(), stored.end(), 0.f);
  each_weight(shape, type, [&](std::size_t oihw, std::size_t krsc) { stored[krsc] = plain[oihw]; });
}

void unpack_weights(const Shape& shape, DType type, std::span<const float> stored,
                    std::span<float> plain) {
  each_weight(shape, type, [&](std::size_t oihw, std::size_t krsc) { plain[oihw] = stored[krsc]; });
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
