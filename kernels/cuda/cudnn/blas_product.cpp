// Describing, choosing and running a product.
#include "kernels/cuda/cudnn/blas_product.h"

#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

// The heads' products are small; NVIDIA recommends this much up to Ampere.
constexpr std::uint64_t kWorkspaceCap = std::uint64_t{4} << 20;
constexpr std::uint32_t kAlignment = 16;

void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, std::int32_t value) {
  check(cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof(value)),
        "describing a product");
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
         T value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value)),
        "describing a product");
}

BlasOperation operation_of(bool transpose_first, bool transpose_second) {
  cublasLtMatmulDesc_t raw = nullptr;
  check(cublasLtMatmulDescCreate(&raw, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
  BlasOperation out(raw);
  set(raw, CUBLASLT_MATMUL_DESC_TRANSA, transpose_first ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(raw, CUBLASLT_MATMUL_DESC_TRANSB, transpose_second ? CUBLAS_OP_T : CUBLAS_OP_N);
  return out;
}

/// A dense row-major matrix: its columns are cuBLASLt's rows.
BlasLayout layout_of(int rows, int columns) {
  cublasLtMatrixLayout_t raw = nullptr;
  check(cublasLtMatrixLayoutCreate(&raw, CUDA_R_32F, static_cast<std::uint64_t>(columns),
                                   static_cast<std::uint64_t>(rows), columns),
        "describing a product");
  return BlasLayout(raw);
}

BlasPreference make_preference() {
  cublasLtMatmulPreference_t raw = nullptr;
  check(cublasLtMatmulPreferenceCreate(&raw), "describing a product");
  BlasPreference out(raw);
  set(raw, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceCap);
  // Parts of a split sum are kept apart and added in a step of their own: a fixed order.
  set(raw, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto name :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(raw, name, kAlignment);
  return out;
}

cublasLtMatmulHeuristicResult_t choose(const BlasHandle& handle, const BlasProblem& problem) {
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle.get(), problem.operation.get(), problem.first.get(),
                                       problem.second.get(), problem.result.get(),
                                       problem.result.get(), problem.preference.get(), 1, &result,
                                       &found),
        "choosing an algorithm");
  if (found == 0) throw DeviceError("cuBLASLt has no algorithm");
  check(result.state, "choosing an algorithm");
  return result;
}

template <class T>
T config(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t name) {
  T value{};
  std::size_t written = 0;
  check(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, name, &value, sizeof(value), &written),
        "reading an algorithm");
  return value;
}

}  // namespace

void check(cublasStatus_t status, const char* doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("{}: {} ({})", doing, cublasLtGetStatusString(status),
                                cublasLtGetStatusName(status)));
}

BlasProblem::BlasProblem(const ProductSpec& s)
    : operation(operation_of(s.transpose_b, s.transpose_a)),
      first(s.transpose_b ? layout_of(s.n, s.k) : layout_of(s.k, s.n)),
      second(s.transpose_a ? layout_of(s.k, s.m) : layout_of(s.m, s.k)),
      result(layout_of(s.m, s.n)),
      preference(make_preference()) {}

BlasProduct::BlasProduct(std::shared_ptr<const BlasHandle> handle, const std::string& unit,
                         const ProductSpec& spec)
    : handle_(std::move(handle)), problem_(spec), beta_(spec.beta) {
  try {
    const cublasLtMatmulHeuristicResult_t choice = choose(*handle_, problem_);
    algorithm_ = choice.algo;
    workspace_bytes_ = choice.workspaceSize;
  } catch (const DeviceError& error) {
    throw DeviceError(
        fmt::format("{}: product {}x{}x{} fp32: {}", unit, spec.m, spec.n, spec.k, error.what()));
  }
}

std::string BlasProduct::engine() const {
  return fmt::format("cublasLt algo{}{{tile={},stages={},split={}}}",
                     config<std::int32_t>(algorithm_, CUBLASLT_ALGO_CONFIG_ID),
                     config<std::uint32_t>(algorithm_, CUBLASLT_ALGO_CONFIG_TILE_ID),
                     config<std::uint32_t>(algorithm_, CUBLASLT_ALGO_CONFIG_STAGES_ID),
                     config<std::int32_t>(algorithm_, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
}

void BlasProduct::run(const float* a, const float* b, float* c, void* workspace,
                      Stream stream) const {
  const float alpha = 1;
  check(cublasLtMatmul(handle_->get(), problem_.operation.get(), &alpha, b, problem_.first.get(), a,
                       problem_.second.get(), &beta_, c, problem_.result.get(), c,
                       problem_.result.get(), &algorithm_, workspace, workspace_bytes_,
                       static_cast<cudaStream_t>(stream)),
        "running a product");
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
