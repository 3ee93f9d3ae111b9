// x_i <- m x_i + (1 - m) x_j and x_j <- m x_j + (1 - m) x_i, j = valid - 1 - i, a pair of rows a
// block column. Reads and writes each element once: its floor is 2 T an element, 0 where m is 1.
#include "kernels/cuda/mixup.h"
#include "kernels/cuda/pack.h"
#include "kernels/math/mixup.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kPacksEach = 4;  // of each row: 128 bytes in flight a thread
constexpr std::size_t kTile = std::size_t{kThreads} * kPacksEach;

template <class T>
__device__ __forceinline__ void blend(Pack<T>& a, Pack<T>& b, float mix) {
#pragma unroll
  for (int k = 0; k < Pack<T>::size; ++k) {
    const float va = widened(a.value[k]), vb = widened(b.value[k]);
    a.value[k] = narrowed<T>(math::blended(va, vb, mix));
    b.value[k] = narrowed<T>(math::blended(vb, va, mix));
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) mixup_kernel(MixupBatch<T> a) {
  const int row = static_cast<int>(blockIdx.x), valid = min(a.state->valid, a.n);
  const int partner = math::mixup_partner(row, valid);
  const float mix = a.state->mix;
  if (row >= partner || mix == 1) return;
  T* own = a.x + static_cast<std::size_t>(row) * a.elements;
  T* other = a.x + static_cast<std::size_t>(partner) * a.elements;
  const std::size_t packs = a.elements / Pack<T>::size;
  const std::size_t first = blockIdx.y * kTile + threadIdx.x;
  Pack<T> x[kPacksEach], y[kPacksEach];
#pragma unroll
  for (int k = 0; k < kPacksEach; ++k) {
    const std::size_t at = first + static_cast<std::size_t>(k) * kThreads;
    if (at < packs) x[k] = load_pack(own, at), y[k] = load_pack(other, at);
  }
#pragma unroll
  for (int k = 0; k < kPacksEach; ++k) {
    const std::size_t at = first + static_cast<std::size_t>(k) * kThreads;
    if (at >= packs) continue;
    blend(x[k], y[k], mix);
    store_pack(own, at, x[k]);
    store_pack(other, at, y[k]);
  }
}

}  // namespace

template <class T>
void mixup(const MixupBatch<T>& a, Stream stream) {
  const std::size_t tiles = (a.elements / Pack<T>::size + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(a.n / 2), static_cast<unsigned>(tiles));
  gpu::launch<mixup_kernel<T>>(grid, dim3(kThreads), 0, stream, a);
}

template void mixup(const MixupBatch<float>&, Stream);
template void mixup(const MixupBatch<Half>&, Stream);
template void mixup(const MixupBatch<Bf16>&, Stream);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
