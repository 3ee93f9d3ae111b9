// Convolutions and matrix products as plain loops on the CPU, in place of cuDNN and cuBLASLt.
#pragma once
#include "kernels/cuda/vendor.h"

namespace affuse::cuda_emulated {

/// Sums in double, rounds once. Takes every problem with channels of whole packs, no workspace.
class ReferenceVendor : public Vendor {
 public:
  std::shared_ptr<const Convolution> convolution(const std::string& unit,
                                                 const ConvProblem& problem,
                                                 std::size_t workspace_cap,
                                                 const std::string* recorded) override;
  std::shared_ptr<const Product> product(const std::string& unit, const ProductSpec& spec) override;
};

}  // namespace affuse::cuda_emulated
