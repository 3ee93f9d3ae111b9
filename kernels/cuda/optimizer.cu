// Adam: m, v moving means of g, g^2; w -= step_size m / (sqrt(v) / root_correction + eps). Reads 16
// and writes 12 bytes an element, 14 with the copy: 28 or 30. check_finite: 4. average: 8 + 4 = 12.
#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/flat.h"
#include "kernels/cuda/optimizer.h"
#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

/// By the bits: the test stays where a compiler may assume finite numbers.
__device__ __forceinline__ bool is_finite(float x) {
  constexpr std::uint32_t exponent = 0x7F800000u;
  return (std::bit_cast<std::uint32_t>(x) & exponent) != exponent;
}

__global__ void __launch_bounds__(256)
    check_kernel(const float* __restrict__ x, std::size_t count, StepState* state) {
  bool finite = true;
  for_each_group(count, [&](auto n, std::size_t i) {
    const auto group = load_group<n.value>(x, i);
#pragma unroll
    for (int k = 0; k < n.value; ++k) finite &= is_finite(group.value[k]);
  });
  if (!finite) atomicOr(&state->found_inf, 1);
}

/// In double, once a step; the other kernel would repeat two powers in every thread.
__global__ void __launch_bounds__(1)
    factors_kernel(math::AdamSettings settings, const StepState* state,
                   math::AdamFactors<float>* factors) {
  if (state->found_inf != 0) return;
  settings.lr = double{state->lr};
  *factors = math::adam_factors<float>(settings, state->step, 1.0 / double{state->loss_scale});
}

template <class T>
__global__ void __launch_bounds__(256) adam_kernel(Adam<T> a) {
  if (a.state->found_inf != 0) return;
  const math::AdamFactors<float> f = *a.factors;
  for_each_group(a.count, [&](auto n, std::size_t i) {
    auto w = load_group<n.value>(a.weights, i);
    auto m = load_group<n.value>(a.m, i), v = load_group<n.value>(a.v, i);
    const auto g = load_group<n.value>(a.gradient, i);
#pragma unroll
    for (int k = 0; k < n.value; ++k) math::adam(f, g.value[k], w.value[k], m.value[k], v.value[k]);
    store_group(a.weights, i, w);
    store_group(a.m, i, m);
    store_group(a.v, i, v);
    if constexpr (!std::is_same_v<T, float>) {
      if (a.copy == nullptr) return;
      Group<T, n.value> copy;
#pragma unroll
      for (int k = 0; k < n.value; ++k) copy.value[k] = narrowed<T>(w.value[k]);
      store_group(a.copy, i, copy);
    }
  });
}

__global__ void __launch_bounds__(256)
    average_kernel(float* __restrict__ mean, const float* __restrict__ weights, std::size_t count,
                   const StepState* state) {
  const std::int64_t averaged = state->averaged;
  for_each_group(count, [=](auto n, std::size_t i) {
    auto out = load_group<n.value>(mean, i);
    const auto w = load_group<n.value>(weights, i);
#pragma unroll
    for (int k = 0; k < n.value; ++k)
      out.value[k] = math::running_mean(out.value[k], w.value[k], averaged);
    store_group(mean, i, out);
  });
}

}  // namespace

void check_finite(const float* x, std::size_t count, StepState* state, Stream stream) {
  gpu::launch<check_kernel>(flat_grid(count), dim3(kFlatThreads), 0, stream, x, count, state);
}

template <class T>
void adam(const Adam<T>& a, Stream stream) {
  gpu::launch<factors_kernel>(dim3(1), dim3(1), 0, stream, a.settings, a.state, a.factors);
  gpu::launch<adam_kernel<T>>(flat_grid(a.count), dim3(kFlatThreads), 0, stream, a);
}

void average(float* mean, const float* weights, std::size_t count, const StepState* state,
             Stream stream) {
  gpu::launch<average_kernel>(flat_grid(count), dim3(kFlatThreads), 0, stream, mean, weights, count,
                              state);
}

template void adam(const Adam<float>&, Stream);
template void adam(const Adam<Half>&, Stream);
template void adam(const Adam<Bf16>&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
