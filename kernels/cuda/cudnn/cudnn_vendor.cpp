// The vendor of a GPU: times cuDNN's candidates, remembers its choices, runs them.
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cuda/cudnn/blas_product.h"
#include "kernels/cuda/cudnn/execute.h"
#include "kernels/cuda/cudnn/vendors.h"
#include "kernels/cuda/device/runtime.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {
namespace {

constexpr std::size_t kCandidates = 10;

class CudnnConvolution : public Convolution {
 public:
  CudnnConvolution(std::shared_ptr<const CudnnHandle> handle, Plan plan)
      : handle_(std::move(handle)), plan_(std::move(plan)) {}

  std::string engine() const override { return plan_.engine; }
  std::size_t workspace_bytes() const override { return plan_.workspace_bytes; }
  void run(const ConvArguments& arguments, Stream stream) const override {
    execute(*handle_, plan_, arguments, stream);
  }

 private:
  std::shared_ptr<const CudnnHandle> handle_;
  Plan plan_;
};

int architecture_of(int device) {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "reading the device's architecture");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "reading the device's architecture");
  return 10 * major + minor;
}

int made_current(int device) {
  check(cudaSetDevice(device), "choosing the device");
  return device;
}

class CudnnVendor : public Vendor {
 public:
  explicit CudnnVendor(int device)
      : device_(made_current(device)),
        target_{std::nullopt, architecture_of(device), handle_->get()} {}

  std::shared_ptr<const Convolution> convolution(const std::string& unit,
                                                 const ConvProblem& problem,
                                                 std::size_t workspace_cap,
                                                 const std::string* recorded) override {
    const Choice wanted{problem, workspace_cap,
                        recorded != nullptr ? std::optional(*recorded) : std::nullopt};
    for (const auto& [choice, convolution] : known_)
      if (choice == wanted) return convolution;
    auto made = std::make_shared<const CudnnConvolution>(
        handle_, choose({unit, problem, workspace_cap, recorded}));
    known_.emplace_back(wanted, made);
    return made;
  }

  std::shared_ptr<const Product> product(const std::string& unit,
                                         const ProductSpec& spec) override {
    return std::make_shared<BlasProduct>(blas_, unit, spec);
  }

 private:
  struct Choice {
    ConvProblem problem;
    std::size_t workspace_cap;
    std::optional<std::string> recorded;
    bool operator==(const Choice&) const = default;
  };

  // A single candidate runs as well: that loads its kernels, which must not happen in a capture.
  Plan choose(const PlanRequest& request) const {
    std::vector<Plan> plans = make_plans(target_, request, kCandidates);
    try {
      return fastest(*handle_, request.problem, std::move(plans));
    } catch (const DeviceError& error) {
      throw DeviceError(fmt::format("{}: timing convolution {} on sm_{}: {}", request.unit,
                                    text_of(request.problem), target_.architecture, error.what()));
    }
  }

  int device_;
  std::shared_ptr<const CudnnHandle> handle_ = std::make_shared<const CudnnHandle>();
  std::shared_ptr<const BlasHandle> blas_ = std::make_shared<const BlasHandle>();
  PlanTarget target_;
  std::vector<std::pair<Choice, std::shared_ptr<const Convolution>>> known_;
};

}  // namespace

std::unique_ptr<Vendor> make_cudnn_vendor(int device) {
  return std::make_unique<CudnnVendor>(device);
}

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
