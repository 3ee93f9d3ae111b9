// Matrix products in fp32 by cuBLASLt.
#pragma once
#include <memory>
#include <string>

#include <cublasLt.h>

#include "kernels/cuda/vendor.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// Throws DeviceError "<doing>: <cuBLASLt's words>" unless successful.
void check(cublasStatus_t status, const char* doing);

/// A cuBLASLt context on the thread's current device.
class BlasHandle {
 public:
  BlasHandle() { check(cublasLtCreate(&raw_), "opening cuBLASLt"); }
  BlasHandle(const BlasHandle&) = delete;
  BlasHandle& operator=(const BlasHandle&) = delete;
  ~BlasHandle() { cublasLtDestroy(raw_); }
  cublasLtHandle_t get() const { return raw_; }

 private:
  cublasLtHandle_t raw_ = nullptr;
};

/// Deletes a cuBLASLt description.
template <auto Destroy>
struct BlasDestroy {
  template <class T>
  void operator()(T* p) const {
    Destroy(p);
  }
};
using BlasOperation =
    std::unique_ptr<cublasLtMatmulDescOpaque_t, BlasDestroy<cublasLtMatmulDescDestroy>>;
using BlasLayout =
    std::unique_ptr<cublasLtMatrixLayoutOpaque_t, BlasDestroy<cublasLtMatrixLayoutDestroy>>;
using BlasPreference =
    std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, BlasDestroy<cublasLtMatmulPreferenceDestroy>>;

/// What cuBLASLt is told. It counts columns first, so that row-major matrices are to it their
/// transposes, and the transpose of c is the product in reverse order.
struct BlasProblem {
  explicit BlasProblem(const ProductSpec& spec);

  BlasOperation operation;
  BlasLayout first;   ///< b
  BlasLayout second;  ///< a
  BlasLayout result;  ///< c
  BlasPreference preference;
};

/// Sums in fp32 without TF32, in a fixed order. a, b and c are 16-byte aligned.
class BlasProduct : public Product {
 public:
  /// Throws DeviceError that names the unit and the sizes.
  BlasProduct(std::shared_ptr<const BlasHandle> handle, const std::string& unit,
              const ProductSpec& spec);

  std::string engine() const override;
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  void run(const float* a, const float* b, float* c, void* workspace, Stream stream) const override;

 private:
  std::shared_ptr<const BlasHandle> handle_;
  BlasProblem problem_;
  float beta_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_bytes_ = 0;
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
