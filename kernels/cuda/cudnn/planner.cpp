// A vendor for a described GPU: what would be taken, without anything to run it on.
#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cuda/cudnn/plans.h"
#include "kernels/cuda/cudnn/vendors.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

[[noreturn]] void refuse_to_run(const std::string& what) {
  throw DeviceError(what + " is planned for a described GPU and cannot run; use a real device");
}

class PlannedConvolution : public Convolution {
 public:
  explicit PlannedConvolution(const Plan& plan)
      : engine_(plan.engine), workspace_bytes_(plan.workspace_bytes) {}

  std::string engine() const override { return engine_; }
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  void run(const ConvArguments&, Stream) const override { refuse_to_run("a convolution"); }

 private:
  std::string engine_;
  std::size_t workspace_bytes_;
};

// cuBLASLt chooses on a device only; products of the heads take next to no workspace.
class PlannedProduct : public Product {
 public:
  std::string engine() const override { return "cublasLt"; }
  std::size_t workspace_bytes() const override { return 0; }
  void run(const float*, const float*, float*, void*, Stream) const override {
    refuse_to_run("a matrix product");
  }
};

class PlanningVendor : public Vendor {
 public:
  explicit PlanningVendor(const DescribedDevice& device) : target_(target_of(device)) {}

  std::shared_ptr<const Convolution> convolution(const std::string& unit,
                                                 const ConvProblem& problem,
                                                 std::size_t workspace_cap,
                                                 const std::string* recorded) override {
    const PlanRequest request{unit, problem, workspace_cap, recorded};
    return std::make_shared<PlannedConvolution>(make_plans(target_, request, 1).front());
  }

  std::shared_ptr<const Product> product(const std::string&, const ProductSpec&) override {
    return std::make_shared<PlannedProduct>();
  }

 private:
  static PlanTarget target_of(const DescribedDevice& device) {
    try {
      return {described_properties(device.json), device.architecture};
    } catch (const DeviceError& error) {
      throw DeviceError(fmt::format("described device {}: {}; correct its properties", device.name,
                                    error.what()));
    }
  }

  PlanTarget target_;
};

}  // namespace

std::unique_ptr<Vendor> make_planning_vendor(const DescribedDevice& device) {
  return std::make_unique<PlanningVendor>(device);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
