// Every convolution of ResNet-18 has a plan within the workspace cap on every described GPU, in
// every precision that the GPU has. Prints the table.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cuda/cudnn/vendors.h"
#include "tests/kernels/cudnn/resnet18_convs.h"

namespace {

using cudnn_test::contains;
using cudnn_test::Format;
using cudnn_test::kCap;
using cudnn_test::kDevices;
using cudnn_test::kFormats;
using cudnn_test::refusal_of;
using cudnn_test::resnet18_convs;
namespace gpu = cudnn_test::gpu;

// Knowledge from NVIDIA's tables, not from the code under test.
bool supported(const std::string& device, const Format& format) {
  const std::string name = format.name;
  return device != "sm75" || (name != "bf16" && name != "tf32");
}

std::string cell(gpu::Vendor& vendor, const gpu::ConvProblem& problem) {
  try {
    const auto plan = vendor.convolution("layer", problem, kCap, nullptr);
    EXPECT_LE(plan->workspace_bytes(), kCap);
    const std::string engine = plan->engine();
    return fmt::format("{} {:.1f} MiB", engine.substr(6, engine.find('{') - 6),
                       static_cast<double>(plan->workspace_bytes()) / 1048576);
  } catch (const affuse::DeviceError& error) {
    return error.what();
  }
}

TEST(PlanMatrix, EverySupportedConvolutionOfResNet18HasAPlanWithin256MiB) {
  for (const Format& format : kFormats)
    for (const gpu::ConvProblem& problem : resnet18_convs(format)) {
      std::string row = fmt::format("{:44}", text_of(problem));
      for (const char* device : kDevices) {
        const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device(device));
        const std::string text = cell(*vendor, problem);
        EXPECT_EQ(contains(text, "MiB"), supported(device, format)) << text;
        row += fmt::format(" {} {:18}", device, supported(device, format) ? text : "none");
      }
      fmt::print("{}\n", row);
    }
}

TEST(PlanMatrix, DeterministicPlansExistForAllOfIt) {
  for (const char* device : kDevices) {
    const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device(device));
    for (const Format& format : kFormats) {
      if (!supported(device, format)) continue;
      for (gpu::ConvProblem problem : resnet18_convs(format)) {
        problem.deterministic = true;
        EXPECT_NO_THROW(vendor->convolution("layer", problem, kCap, nullptr)) << text_of(problem);
      }
    }
  }
}

TEST(PlanMatrix, RefusalsNameUnitProblemPrecisionArchitectureAndTheWayOut) {
  const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device("sm75"));
  for (const Format& format : {kFormats[1], kFormats[2]})
    for (const gpu::ConvProblem& problem : resnet18_convs(format)) {
      const std::string why =
          refusal_of([&] { vendor->convolution("layer2.0.conv1", problem, kCap, nullptr); });
      EXPECT_TRUE(why.starts_with("layer2.0.conv1: ")) << why;
      EXPECT_TRUE(contains(why, text_of(problem))) << why;
      EXPECT_TRUE(contains(why, fmt::format("sm_75 has no {}", format.name))) << why;
      EXPECT_TRUE(contains(why, "fp16")) << why;
    }
}

TEST(PlanMatrix, ATooSmallCapIsNamedWithTheSmallestWorkspace) {
  const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device("sm80"));
  gpu::ConvProblem problem = resnet18_convs(kFormats[0])[1];
  ASSERT_EQ(problem.kind, gpu::ConvKind::weights);
  const auto roomy = vendor->convolution("stem", problem, kCap, nullptr);
  ASSERT_GT(roomy->workspace_bytes(), 0u);
  const std::string why = refusal_of([&] {
    const std::string engine = roomy->engine();
    vendor->convolution("stem", problem, roomy->workspace_bytes() - 1, &engine);
  });
  EXPECT_TRUE(why.starts_with("stem: ")) << why;
  EXPECT_TRUE(contains(why, roomy->engine())) << why;
  EXPECT_TRUE(contains(why, "needs 7 MiB")) << why;
  EXPECT_TRUE(contains(why, "6 are allowed; raise train.workspace_mb")) << why;
  EXPECT_TRUE(contains(why, "sm_80")) << why;
}

TEST(PlanMatrix, TextNamesTheProblem) {
  EXPECT_EQ(text_of(resnet18_convs(kFormats[0])[5]), "forward 3x3/2 64->128 56x56 n256 fp16");
  EXPECT_EQ(text_of(resnet18_convs(kFormats[2])[1]), "weights 7x7/2 4->64 224x224 n256 tf32");
}

}  // namespace
