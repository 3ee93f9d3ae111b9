// x_i <- m x_i + (1 - m) x_j and x_j <- m x_j + (1 - m) x_i, a pair's pieces among the threads.
// Reads and writes each element once.
#include "kernels/cpu/mixup.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/math/mixup.h"

namespace affuse::cpu {
namespace {

constexpr std::size_t kPiece = 16384;
constexpr int kWidth = 8;

template <class T>
void blend(T* a, T* b, std::size_t count, float mix) {
  const auto own = splat<kWidth>(mix), rest = splat<kWidth>(1 - mix);
  std::size_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto va = load<kWidth>(a + i), vb = load<kWidth>(b + i);
    store<kWidth>(own * va + rest * vb, a + i);
    store<kWidth>(own * vb + rest * va, b + i);
  }
  for (; i < count; ++i) {
    const float va = to_float(a[i]), vb = to_float(b[i]);
    from_float(math::blended(va, vb, mix), a[i]);
    from_float(math::blended(vb, va, mix), b[i]);
  }
}

}  // namespace

template <class T>
void mixup(T* x, std::size_t elements, int valid, float mix) {
  if (mix == 1) return;
  const int pairs = valid / 2;
  const auto pieces = static_cast<int>((elements + kPiece - 1) / kPiece);
  const std::size_t bytes = 2 * sizeof(T) * elements * static_cast<std::size_t>(valid);
  parallel_for(pairs * pieces, bytes, [&](int item) {
    const int row = item / pieces;
    const std::size_t begin = static_cast<std::size_t>(item % pieces) * kPiece;
    const auto at = [&](int r) { return x + static_cast<std::size_t>(r) * elements + begin; };
    blend(at(row), at(math::mixup_partner(row, valid)), std::min(kPiece, elements - begin), mix);
  });
}

template void mixup(float*, std::size_t, int, float);
template void mixup(Bf16*, std::size_t, int, float);

}  // namespace affuse::cpu
