// Eq. 1-9 fused: q = training_target(VA, label); p = softmax(logits); losses and their gradients,
// under mixup against two targets. Reads 4 (2K + 4) + 5 bytes a sample, mixed 4 (K + 2) + 5 more,
// writes 4 (3K + 5), 40 KB at 256 x 8: latency-bound.
#include "kernels/cuda/affect_loss.h"
#include "kernels/cuda/block.h"
#include "kernels/cuda/rows.h"
#include "kernels/math/mixup.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

constexpr int kSumThreads = 256;

/// The valid samples, kept inside the arrays whatever the state says.
__device__ __forceinline__ int valid_rows(const AffectLoss& a) {
  const int valid = a.state->valid;
  return valid < 0 ? 0 : valid < a.n ? valid : a.n;
}

/// A row's target, with its distribution written to q [K].
__device__ __forceinline__ math::SampleTarget<float> target_of(const AffectLoss& a, int row,
                                                               float* q) {
  const int label = known_label(a.label[row], a.classes);
  const bool has_va = a.has_va[row] != 0;
  const float* va = row_at(a.va, row, 2);
  math::training_target(
      *a.model,
      math::Annotation<float>{label, has_va, va[0], va[1], row_at(a.given, row, a.classes)}, q);
  return {q, label, va, has_va};
}

__global__ void __launch_bounds__(kRowThreads) affect_loss_rows(AffectLoss a) {
  const int row = row_of_thread();
  if (row >= a.n) return;
  float q[math::kMaxClasses];
  const auto target = target_of(a, row, q);
  store_row(a.target, row, a.classes, q);

  const int valid = valid_rows(a);
  const float mix = a.state->mix;
  float p[math::kMaxClasses] = {}, d_logits[math::kMaxClasses] = {}, d_va[2] = {};
  math::LossTerms<float> loss;
  if (row < valid) {
    const float *logits = row_at(a.logits, row, a.classes), *va_hat = row_at(a.va_hat, row, 2);
    const float scale = a.state->loss_scale * a.state->share / static_cast<float>(valid);
    if (math::is_mixed(row, valid, mix)) {
      float partner_q[math::kMaxClasses];
      const auto partner = target_of(a, math::mixup_partner(row, valid), partner_q);
      loss = math::mixed_affect_loss(*a.settings, logits, va_hat, target, partner, mix, scale, p,
                                     d_logits, d_va);
    } else {
      loss = math::affect_loss(*a.settings, logits, va_hat, target, scale, p, d_logits, d_va);
    }
  }
  const float terms[3] = {loss.ce, loss.cs, loss.l2};
  store_row(a.probability, row, a.classes, p);
  store_row(a.terms, row, 3, terms);
  store_row(a.d_logits, row, a.classes, d_logits);
  store_row(a.d_va, row, 2, d_va);
}

/// This thread's share of x [valid, width] holds a number that is not finite.
__device__ bool has_non_finite(const float* x, int valid, int width) {
  const std::size_t count = static_cast<std::size_t>(valid) * static_cast<std::size_t>(width);
  bool found = false;
  for (std::size_t i = threadIdx.x; i < count; i += kSumThreads) found |= !std::isfinite(x[i]);
  return found;
}

/// One block: the means over the valid samples in double, every thread's rows and then the threads
/// in a fixed order.
__global__ void __launch_bounds__(kSumThreads) affect_loss_sums(AffectLoss a) {
  const int valid = valid_rows(a);
  double sum[3] = {0, 0, 0};
  for (int row = static_cast<int>(threadIdx.x); row < valid; row += kSumThreads) {
    const float* terms = row_at(a.terms, row, 3);
    for (int j = 0; j < 3; ++j) sum[j] += double{terms[j]};
  }
  const bool bad = has_non_finite(a.terms, valid, 3) |
                   has_non_finite(a.d_logits, valid, a.classes) | has_non_finite(a.d_va, valid, 2);
  const int found_inf = __syncthreads_or(bad);
  for (double& s : sum) s = block_sum<kSumThreads>(s) / (valid > 0 ? valid : 1);
  if (threadIdx.x != 0) return;
  const math::LossSettings& s = *a.settings;
  a.state->loss_ce = sum[0];
  a.state->loss_cs = sum[1];
  a.state->loss_l2 = sum[2];
  a.state->loss = s.coef_ce * sum[0] + s.coef_cs * sum[1] + s.coef_l2 * sum[2];
  a.state->found_inf = found_inf != 0 ? 1 : 0;
}

}  // namespace

void affect_loss(const AffectLoss& a, Stream stream) {
  check_classes("affect loss", a.classes);
  gpu::launch<affect_loss_rows>(row_blocks(a.n), kRowThreads, 0, stream, a);
  gpu::launch<affect_loss_sums>(1, kSumThreads, 0, stream, a);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
