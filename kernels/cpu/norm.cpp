// Batch norm forward. y = (x - mean) * (gamma * invstd) + beta (+ residual), ReLU.
// Bytes per element: statistics read x; the pass reads x (from cache) and residual, writes y.
#include "kernels/cpu/norm.h"

#include <cmath>

#include "kernels/cpu/norm_parts.h"

namespace affuse::cpu {
namespace {

template <class T>
struct Unit {
  const T* x;
  const T* residual;
  bool relu;
  T* y;
};

template <int Block, bool Relu, bool Residual, bool Streamed, class T>
void normalise(const Unit<T>& u, const Maps& m, int cb, Range rows, const Affine& affine) {
  constexpr int width = lanes<Block>;
  const BlockPacks<Block> mean(affine.mean), scale(affine.scale), beta(affine.beta);
  for_rows<Block>(m, cb, rows, [&](std::size_t at, int k) {
    Floats<width> v = (load<width>(u.x + at) - mean[k]) * scale[k] + beta[k];
    if constexpr (Residual) v += load<width>(u.residual + at);
    if constexpr (Relu) v = relu<width>(v);
    put<Streamed, width>(v, u.y + at);
  });
  if constexpr (Streamed) stream_fence();
}

template <class T>
using Pass = void (*)(const Unit<T>&, const Maps&, int cb, Range rows, const Affine&);

/// normalise() of the unit's kind.
template <int Block, class T>
Pass<T> pass_of(const Unit<T>& u, const Maps& m) {
  const bool streamed = u.y != u.x && u.y != u.residual && should_stream(u.y, m.size() * sizeof(T));
  Pass<T> pass = nullptr;
  with_flag(u.relu, [&](auto relu_flag) {
    with_flag(u.residual != nullptr, [&](auto residual) {
      with_flag(streamed, [&](auto stream_flag) {
        pass = normalise<Block, relu_flag(), residual(), stream_flag(), T>;
      });
    });
  });
  return pass;
}

struct Nothing {};

}  // namespace

template <class T>
void bn_statistics(const T* x, const Maps& m, int valid, float* mean, float* var) {
  check(m, valid, "batch norm statistics");
  const Slabs slabs(m);
  const double count = static_cast<double>(valid) * m.hw;
  with_block(m.block, [&]<int Block>() {
    reduce_then_apply(
        m, m.plane() * static_cast<std::size_t>(m.n) * sizeof(T),
        [&](int cb, int s, ChannelSums& sums) {
          sum_moments<Block>(x, m, cb, slabs.range(s, valid), valid, sums);
        },
        [&](int cb, const ChannelSums& sums, bool leader) {
          const Statistics found = statistics_of<Block>(x, m, cb, valid, sums, count, 0.f);
          if (leader) found.write(Block, mean + cb * Block, var + cb * Block, nullptr);
          return Nothing{};
        },
        [](int, int, Nothing) {});
  });
}

void bn_invstd(const float* var, int c, float eps, float* invstd) {
  for (int i = 0; i < c; ++i)
    invstd[i] = static_cast<float>(1.0 / std::sqrt(double{var[i]} + double{eps}));
}

void bn_update_running(const float* mean, const float* var, int c, std::int64_t count,
                       float momentum, float* running_mean, float* running_var) {
  const double unbiased = count > 1 ? double(count) / double(count - 1) : 1.0;
  for (int i = 0; i < c; ++i) {
    const auto batch_var = static_cast<float>(double{var[i]} * unbiased);
    running_mean[i] = (1 - momentum) * running_mean[i] + momentum * mean[i];
    running_var[i] = (1 - momentum) * running_var[i] + momentum * batch_var;
  }
}

template <class T>
void bn_apply(const T* x, const Maps& m, const BatchNorm& bn, const T* residual, bool relu, T* y) {
  check(m, "batch norm");
  const Slabs slabs(m);
  const Unit<T> unit{x, residual, relu, y};
  with_block(m.block, [&]<int Block>() {
    const Pass<T> pass = pass_of<Block>(unit, m);
    parallel_for(slabs.count * m.blocks(), m.size() * sizeof(T), [&](int i) {
      const int cb = i % m.blocks();
      pass(unit, m, cb, slabs.range(i / m.blocks(), m.n), affine_of(bn, cb * Block, Block));
    });
  });
}

template <class T>
void bn_forward(const BnForward<T>& a, const Maps& m, int valid) {
  check(m, valid, "batch norm");
  const Slabs slabs(m);
  const double count = static_cast<double>(valid) * m.hw;
  const Unit<T> unit{a.x, a.residual, a.relu, a.y};
  with_block(m.block, [&]<int Block>() {
    const Pass<T> pass = pass_of<Block>(unit, m);
    reduce_then_apply(
        m, m.plane() * static_cast<std::size_t>(m.n) * sizeof(T),
        [&](int cb, int s, ChannelSums& sums) {
          sum_moments<Block>(a.x, m, cb, slabs.range(s, valid), valid, sums);
        },
        [&](int cb, const ChannelSums& sums, bool leader) {
          const Statistics found = statistics_of<Block>(a.x, m, cb, valid, sums, count, a.eps);
          const int c = cb * Block;
          if (leader) found.write(Block, a.mean + c, a.var + c, a.invstd + c);
          return affine_of({found.mean.data(), found.invstd.data(), a.gamma + c, a.beta + c}, 0,
                           Block);
        },
        [&](int cb, int s, const Affine& affine) {
          pass(unit, m, cb, slabs.range(s, m.n), affine);
        });
  });
}

void fold_bn(const float* gamma, const float* beta, const float* mean, const float* var, int c,
             float eps, float* scale, float* shift) {
  for (int i = 0; i < c; ++i) {
    const double k = double{gamma[i]} / std::sqrt(double{var[i]} + double{eps});
    scale[i] = static_cast<float>(k);
    shift[i] = static_cast<float>(double{beta[i]} - double{mean[i]} * k);
  }
}

template void bn_statistics(const float*, const Maps&, int, float*, float*);
template void bn_statistics(const Bf16*, const Maps&, int, float*, float*);
template void bn_apply(const float*, const Maps&, const BatchNorm&, const float*, bool, float*);
template void bn_apply(const Bf16*, const Maps&, const BatchNorm&, const Bf16*, bool, Bf16*);
template void bn_forward(const BnForward<float>&, const Maps&, int);
template void bn_forward(const BnForward<Bf16>&, const Maps&, int);

}  // namespace affuse::cpu
