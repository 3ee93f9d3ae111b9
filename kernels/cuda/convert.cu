// Rounding to 16 bits and back: to[i] = from[i]. Groups of 4 elements: 16 bytes on the fp32 side.
// Reads and writes 4 + 2 bytes an element: its floor is 6 bytes.
#include "kernels/cuda/convert.h"
#include "kernels/cuda/flat.h"
#include "kernels/cuda/pack.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

template <class From, class To>
__global__ void __launch_bounds__(256)
    convert_kernel(const From* __restrict__ from, To* __restrict__ to, std::size_t count) {
  for_each_group(count, [=](auto n, std::size_t i) {
    const auto in = load_group<n.value>(from, i);
    Group<To, n.value> out;
#pragma unroll
    for (int k = 0; k < n.value; ++k) out.value[k] = narrowed<To>(widened(in.value[k]));
    store_group(to, i, out);
  });
}

}  // namespace

template <class T>
void narrow(const float* from, T* to, std::size_t count, Stream stream) {
  gpu::launch<convert_kernel<float, T>>(flat_grid(count), dim3(kFlatThreads), 0, stream, from, to,
                                        count);
}

template <class T>
void widen(const T* from, float* to, std::size_t count, Stream stream) {
  gpu::launch<convert_kernel<T, float>>(flat_grid(count), dim3(kFlatThreads), 0, stream, from, to,
                                        count);
}

template void narrow(const float*, Half*, std::size_t, Stream);
template void narrow(const float*, Bf16*, std::size_t, Stream);
template void widen(const Half*, float*, std::size_t, Stream);
template void widen(const Bf16*, float*, std::size_t, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
