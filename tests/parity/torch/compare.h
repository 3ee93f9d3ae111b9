// Comparisons with LibTorch that say how close they came.
#pragma once
#include <string>

#include <torch/torch.h>

#include "engine/dtype.h"

namespace affuse::parity {

using torch::Tensor;

/// max|got - want| / max|want| over a tensor; infinite where a value is not finite.
double largest_error(const Tensor& got, const Tensor& want);
/// |got - want| / |want| as vectors: what many roundings do together.
double overall_error(const Tensor& got, const Tensor& want);

/// What an operation reads: the values of `x` as fp32 or bf16 holds them, in double.
Tensor stored(const Tensor& x, DType type);

/// A group of comparisons under one tolerance. Prints and records its worst at the end.
class Closeness {
 public:
  using Measure = double (*)(const Tensor&, const Tensor&);

  Closeness(std::string title, double tolerance, Measure measure = largest_error);
  Closeness(const Closeness&) = delete;
  Closeness& operator=(const Closeness&) = delete;
  ~Closeness();

  void check(const std::string& what, const Tensor& got, const Tensor& want);
  void check(const std::string& what, double got, double want);

 private:
  std::string title_, worst_what_;
  double tolerance_;
  Measure measure_;
  double worst_ = 0;
  int count_ = 0;
};

}  // namespace affuse::parity
