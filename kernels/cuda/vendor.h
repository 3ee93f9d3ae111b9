// What the CUDA program asks of libraries: convolutions and matrix products. cuDNN and cuBLASLt
// answer on a GPU, cuDNN's planner for a described one, loops on the CPU in tests.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "engine/dtype.h"
#include "kernels/cuda/stream.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

enum class ConvKind { forward, data, weights };

/// A convolution of the network: x [n, h, w, in], weights [out, kernel, kernel, in] (KRSC),
/// y [n, out_h, out_w, out]; all of `type`, accumulated in fp32.
struct ConvProblem {
  ConvKind kind;
  int n, in, out, h, w, kernel, stride, pad;
  DType type;
  bool tensor_float32 = false;  ///< fp32 only: products in TF32
  bool deterministic = false;

  int out_h() const { return (h + 2 * pad - kernel) / stride + 1; }
  int out_w() const { return (w + 2 * pad - kernel) / stride + 1; }
  double flops() const { return 2.0 * n * out_h() * out_w() * out * in * kernel * kernel; }
  bool operator==(const ConvProblem&) const = default;
};

/// "forward 3x3/2 64->128 56x56 n256 fp16".
std::string text_of(const ConvProblem& p);

/// Overwrites one of x (data), w (weights), y (forward) from the other two.
struct ConvArguments {
  void* x;
  void* w;
  void* y;
  void* workspace;  ///< workspace_bytes(), 256-byte aligned
};

/// A problem's chosen implementation.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual std::string engine() const = 0;  ///< recorded in checkpoints, names exactly this choice
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(const ConvArguments& arguments, Stream stream) const = 0;
};

/// c [m, n] = a' b' + beta c in fp32, row-major; a' is a [m, k] or, transposed, a [k, m]; b' is
/// b [k, n] or, transposed, b [n, k].
struct ProductSpec {
  int m, n, k;
  bool transpose_a = false, transpose_b = false;
  float beta = 0;
};

class Product {
 public:
  virtual ~Product() = default;
  virtual std::string engine() const = 0;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(const float* a, const float* b, float* c, void* workspace,
                   Stream stream) const = 0;
};

class Vendor {
 public:
  Vendor() = default;
  Vendor(const Vendor&) = delete;
  Vendor& operator=(const Vendor&) = delete;
  virtual ~Vendor() = default;

  /// The best implementation within the cap, or the `recorded` one (an engine() of an earlier run).
  /// Throws DeviceError that names `unit`, the problem and the device's architecture.
  virtual std::shared_ptr<const Convolution> convolution(const std::string& unit,
                                                         const ConvProblem& problem,
                                                         std::size_t workspace_cap,
                                                         const std::string* recorded) = 0;
  virtual std::shared_ptr<const Product> product(const std::string& unit,
                                                 const ProductSpec& spec) = 0;
};

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
