// Eq. 2-4 and the noise-aware mixture, a thread a sample.
// Reads 8 to 12 bytes a sample, writes 4 K; the model comes from L1: latency-bound at any batch.
#include "kernels/cuda/labels.h"
#include "kernels/cuda/rows.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

__device__ __forceinline__ void posterior(const math::GmmParams<float>& m, float v, float a, int,
                                          float* p) {
  math::gmm_posterior(m, v, a, p);
}
__device__ __forceinline__ void posterior(const math::EuclidParams<float>& m, float v, float a, int,
                                          float* p) {
  math::euclid_posterior(m, v, a, p);
}
__device__ __forceinline__ void posterior(const math::NoiseAwareParams<float>& m, float v, float a,
                                          int label, float* p) {
  math::noise_aware_posterior(m, v, a, label, p);
}

/// label may be null: no sample has one.
template <class Params>
__global__ void __launch_bounds__(kRowThreads)
    posterior_rows(const Params* model, int classes, const float* va, const std::int32_t* label,
                   int n, float* out) {
  const int row = row_of_thread();
  if (row >= n) return;
  const float* x = row_at(va, row, 2);
  float p[math::kMaxClasses];
  posterior(*model, x[0], x[1], label ? known_label(label[row], classes) : -1, p);
  store_row(out, row, classes, p);
}

__global__ void __launch_bounds__(kRowThreads)
    fuse_rows(float alpha, const std::int32_t* label, const float* p, int n, int classes,
              float* out) {
  const int row = row_of_thread();
  if (row >= n) return;
  const int own = known_label(label[row], classes);
  math::fuse(own < 0 ? 0.f : alpha, own, row_at(p, row, classes), classes,
             row_at(out, row, classes));
}

template <class Params>
void launch_posterior(const char* place, const Params* model, int classes, const float* va,
                      const std::int32_t* label, int n, float* p, Stream stream) {
  check_classes(place, classes);
  gpu::launch<posterior_rows<Params>>(row_blocks(n), kRowThreads, 0, stream, model, classes, va,
                                      label, n, p);
}

}  // namespace

void gmm_posterior(const math::GmmParams<float>* model, int classes, const float* va, int n,
                   float* p, Stream stream) {
  launch_posterior("GMM posterior", model, classes, va, nullptr, n, p, stream);
}

void euclid_posterior(const math::EuclidParams<float>* model, int classes, const float* va, int n,
                      float* p, Stream stream) {
  launch_posterior("Euclidean posterior", model, classes, va, nullptr, n, p, stream);
}

void noise_aware_posterior(const math::NoiseAwareParams<float>* model, int classes, const float* va,
                           const std::int32_t* label, int n, float* p, Stream stream) {
  launch_posterior("noise-aware posterior", model, classes, va, label, n, p, stream);
}

void fuse_labels(float alpha, const std::int32_t* label, const float* p, int n, int classes,
                 float* out, Stream stream) {
  check_classes("label fusion", classes);
  gpu::launch<fuse_rows>(row_blocks(n), kRowThreads, 0, stream, alpha, label, p, n, classes, out);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
