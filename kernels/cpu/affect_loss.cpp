// Eq. 6-9, a sample an iteration, on one thread: 256 samples take 20 us, less than waking a second
// one on a busy machine. Reads 4 (2K + 2) bytes a sample and target, writes 4 (2K + 5).
#include "kernels/cpu/affect_loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/math/mixup.h"

namespace affuse::cpu {
namespace {

using math::AffectTargets;
using math::LossSettings;

void check(const LossSettings& s, const AffectTargets& targets, int n, int valid) {
  if (s.classes < 1 || s.classes > math::kMaxClasses)
    throw Error(
        fmt::format("affect loss: {} classes; 1 to {} are possible", s.classes, math::kMaxClasses));
  if (valid < 0 || valid > n)
    throw Error(fmt::format("affect loss: {} valid samples in a batch of {}", valid, n));
  for (int i = 0; i < valid; ++i)
    if (targets.label[i] < -1 || targets.label[i] >= s.classes)
      throw DataError(
          fmt::format("affect loss: sample {} of the batch has class {}; -1 to {} are "
                      "possible",
                      i, targets.label[i], s.classes - 1));
}

/// Zeros for the padding rows of [n, width].
void clear_padding(float* rows, int n, int valid, int width) {
  const auto w = static_cast<std::size_t>(width);
  std::fill(rows + static_cast<std::size_t>(valid) * w, rows + static_cast<std::size_t>(n) * w,
            0.f);
}

/// Mean of column `column` of [valid, width], summed in the rows' order.
double column_mean(const float* terms, int valid, int width, int column) {
  double sum = 0;
  for (int i = 0; i < valid; ++i) sum += double{terms[i * width + column]};
  return valid > 0 ? sum / valid : 0.0;
}

bool all_finite(const float* x, std::size_t count) {
  return std::all_of(x, x + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

BatchLoss affect_loss_forward_backward(const LossSettings& settings, const float* logits,
                                       const float* va_hat, const AffectTargets& targets, int n,
                                       int valid, const AffectLossOutput& out, float scale,
                                       float mix) {
  check(settings, targets, n, valid);
  const auto k = static_cast<std::size_t>(settings.classes);
  const float share = scale / static_cast<float>(std::max(valid, 1));
  for (int row = 0; row < valid; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const auto target = math::target_of(targets, row, settings.classes);
    const float *z = logits + i * k, *va = va_hat + i * 2;
    float *p = out.probabilities + i * k, *d_logits = out.d_logits + i * k,
          *d_va = out.d_va + i * 2;
    const auto terms =
        math::is_mixed(row, valid, mix)
            ? math::mixed_affect_loss(
                  settings, z, va, target,
                  math::target_of(targets, math::mixup_partner(row, valid), settings.classes), mix,
                  share, p, d_logits, d_va)
            : math::affect_loss(settings, z, va, target, share, p, d_logits, d_va);
    out.terms[3 * i] = terms.ce;
    out.terms[3 * i + 1] = terms.cs;
    out.terms[3 * i + 2] = terms.l2;
  }
  clear_padding(out.d_logits, n, valid, settings.classes);
  clear_padding(out.d_va, n, valid, 2);
  clear_padding(out.terms, n, valid, 3);
  clear_padding(out.probabilities, n, valid, settings.classes);
  const auto rows = static_cast<std::size_t>(valid);
  const bool finite = all_finite(out.terms, rows * 3) && all_finite(out.d_logits, rows * k) &&
                      all_finite(out.d_va, rows * 2);
  return {column_mean(out.terms, valid, 3, 0), column_mean(out.terms, valid, 3, 1),
          column_mean(out.terms, valid, 3, 2), finite};
}

void softmax(const float* logits, int n, int classes, float* probabilities) {
  if (classes < 1 || classes > math::kMaxClasses)
    throw Error(
        fmt::format("softmax: {} classes; 1 to {} are possible", classes, math::kMaxClasses));
  const auto k = static_cast<std::size_t>(classes);
  for (int row = 0; row < n; ++row) {
    float log_p[math::kMaxClasses];
    const auto i = static_cast<std::size_t>(row);
    math::softmax(logits + i * k, classes, log_p, probabilities + i * k);
  }
}

double softmax_ce(const LossSettings& settings, const float* logits, const AffectTargets& targets,
                  int n, int valid, float* terms, float* d_logits) {
  check(settings, targets, n, valid);
  const auto k = static_cast<std::size_t>(settings.classes);
  clear_padding(terms, n, valid, 1);
  clear_padding(d_logits, n, 0, settings.classes);
  for (int row = 0; row < valid; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const auto target = math::target_of(targets, row, settings.classes);
    float log_p[math::kMaxClasses], p[math::kMaxClasses];
    math::softmax(logits + i * k, settings.classes, log_p, p);
    terms[i] =
        math::cross_entropy(settings, target.q, math::sample_weight(settings, target), log_p, p,
                            settings.coef_ce / static_cast<float>(valid), d_logits + i * k);
  }
  return column_mean(terms, valid, 1, 0);
}

double cosine(const LossSettings& settings, const float* logits, const AffectTargets& targets,
              int n, int valid, float* terms, float* d_logits) {
  check(settings, targets, n, valid);
  const auto k = static_cast<std::size_t>(settings.classes);
  clear_padding(terms, n, valid, 1);
  clear_padding(d_logits, n, 0, settings.classes);
  for (int row = 0; row < valid; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const auto target = math::target_of(targets, row, settings.classes);
    float log_p[math::kMaxClasses], p[math::kMaxClasses];
    math::softmax(logits + i * k, settings.classes, log_p, p);
    terms[i] = math::cosine(settings, target.q, math::sample_weight(settings, target), p,
                            settings.coef_cs / static_cast<float>(valid), d_logits + i * k);
  }
  return column_mean(terms, valid, 1, 0);
}

double l2(const LossSettings& settings, const float* va_hat, const AffectTargets& targets, int n,
          int valid, float* terms, float* d_va) {
  check(settings, targets, n, valid);
  clear_padding(terms, n, valid, 1);
  clear_padding(d_va, n, valid, 2);
  for (int row = 0; row < valid; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const auto target = math::target_of(targets, row, settings.classes);
    terms[i] =
        math::weighted_l2(settings, va_hat + i * 2, target, math::sample_weight(settings, target),
                          settings.coef_l2 / static_cast<float>(valid), d_va + i * 2);
  }
  return column_mean(terms, valid, 1, 0);
}

}  // namespace affuse::cpu
