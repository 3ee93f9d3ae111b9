// Softmax and the terms of Eq. 9 (Eq. 6-8) each alone, a thread a sample.
// Reads 4 (2K + 2) bytes a sample, writes 4 (K + 1): latency-bound at any batch.
#include "kernels/cuda/affect_loss.h"
#include "kernels/cuda/rows.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

enum class Term { cross_entropy, cosine };

__device__ __forceinline__ math::SampleTarget<float> target_of(const LossTerm& a, int row) {
  auto target = math::target_of(a.targets, row, a.classes);
  target.label = known_label(target.label, a.classes);
  return target;
}

__global__ void __launch_bounds__(kRowThreads)
    softmax_rows(const float* logits, int n, int classes, float* probability) {
  const int row = row_of_thread();
  if (row >= n) return;
  float log_p[math::kMaxClasses], p[math::kMaxClasses];
  math::softmax(row_at(logits, row, classes), classes, log_p, p);
  store_row(probability, row, classes, p);
}

template <Term Which>
__global__ void __launch_bounds__(kRowThreads)
    logit_term_rows(LossTerm a, const float* logits, float* terms, float* d_logits) {
  const int row = row_of_thread();
  if (row >= a.n) return;
  float term = 0, d[math::kMaxClasses] = {};
  if (row < a.valid) {
    const math::LossSettings& s = *a.settings;
    const auto target = target_of(a, row);
    const float weight = math::sample_weight(s, target), valid = static_cast<float>(a.valid);
    float log_p[math::kMaxClasses], p[math::kMaxClasses];
    math::softmax(row_at(logits, row, a.classes), s.classes, log_p, p);
    if constexpr (Which == Term::cross_entropy)
      term = math::cross_entropy(s, target.q, weight, log_p, p, s.coef_ce / valid, d);
    else
      term = math::cosine(s, target.q, weight, p, s.coef_cs / valid, d);
  }
  terms[row] = term;
  store_row(d_logits, row, a.classes, d);
}

__global__ void __launch_bounds__(kRowThreads)
    weighted_l2_rows(LossTerm a, const float* va_hat, float* terms, float* d_va) {
  const int row = row_of_thread();
  if (row >= a.n) return;
  float term = 0, d[2] = {};
  if (row < a.valid) {
    const math::LossSettings& s = *a.settings;
    const auto target = target_of(a, row);
    term = math::weighted_l2(s, row_at(va_hat, row, 2), target, math::sample_weight(s, target),
                             s.coef_l2 / static_cast<float>(a.valid), d);
  }
  terms[row] = term;
  store_row(d_va, row, 2, d);
}

}  // namespace

void softmax(const float* logits, int n, int classes, float* probability, Stream stream) {
  check_classes("softmax", classes);
  gpu::launch<softmax_rows>(row_blocks(n), kRowThreads, 0, stream, logits, n, classes, probability);
}

void softmax_ce(const LossTerm& a, const float* logits, float* terms, float* d_logits,
                Stream stream) {
  check_classes("cross-entropy", a.classes);
  gpu::launch<logit_term_rows<Term::cross_entropy>>(row_blocks(a.n), kRowThreads, 0, stream, a,
                                                    logits, terms, d_logits);
}

void cosine(const LossTerm& a, const float* logits, float* terms, float* d_logits, Stream stream) {
  check_classes("cosine loss", a.classes);
  gpu::launch<logit_term_rows<Term::cosine>>(row_blocks(a.n), kRowThreads, 0, stream, a, logits,
                                             terms, d_logits);
}

void weighted_l2(const LossTerm& a, const float* va_hat, float* terms, float* d_va, Stream stream) {
  check_classes("weighted L2", a.classes);
  gpu::launch<weighted_l2_rows>(row_blocks(a.n), kRowThreads, 0, stream, a, va_hat, terms, d_va);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
