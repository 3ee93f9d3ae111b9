// Words for a convolution, as errors and tables name it.
#include "kernels/cuda/vendor.h"

#include <fmt/format.h>

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

const char* name_of(ConvKind kind) {
  switch (kind) {
    case ConvKind::forward:
      return "forward";
    case ConvKind::data:
      return "data";
    case ConvKind::weights:
      return "weights";
  }
  return "?";
}

}  // namespace

std::string text_of(const ConvProblem& p) {
  return fmt::format("{} {}x{}/{} {}->{} {}x{} n{} {}", name_of(p.kind), p.kernel, p.kernel,
                     p.stride, p.in, p.out, p.h, p.w, p.n,
                     p.tensor_float32 ? "tf32" : affuse::name_of(p.type));
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
