// Which engines a plan may come from, recorded choices, and descriptions cuDNN cannot use.
#include "kernels/cuda/cudnn/plans.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "kernels/cuda/cudnn/execute.h"
#include "kernels/cuda/cudnn/vendors.h"
#include "tests/kernels/cudnn/resnet18_convs.h"

namespace {

using affuse::DescribedDevice;
using cudnn_test::contains;
using cudnn_test::kCap;
using cudnn_test::kDevices;
using cudnn_test::kFormats;
using cudnn_test::refusal_of;
using cudnn_test::resnet18_convs;
namespace gpu = cudnn_test::gpu;

gpu::PlanTarget target(const char* name) {
  const DescribedDevice& device = *affuse::find_described_device(name);
  return {gpu::described_properties(device.json), device.architecture};
}

std::set<cudnnBackendNumericalNote_t> notes_of(const gpu::Plan& plan) {
  const auto engine =
      plan.config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
  const auto notes = engine.at(0).values<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  return {notes.begin(), notes.end()};
}

// Everything cuDNN knows of a plan, its engine's hidden settings included.
std::string json_of(const gpu::Plan& plan) {
  const auto text = plan.plan.values<char>(
      CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
      plan.plan.count(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR));
  return {text.begin(), text.end()};
}

// All plans of all problems of a format.
template <class F>
void each_plan(const char* device, int format, bool deterministic, F f) {
  const gpu::PlanTarget where = target(device);
  for (gpu::ConvProblem problem : resnet18_convs(kFormats[format])) {
    problem.deterministic = deterministic;
    for (const gpu::Plan& plan : make_plans(where, {"unit", problem, kCap, nullptr}, 100))
      f(problem, plan);
  }
}

TEST(Plans, Fp32TakesNoTensorCoresAndTf32Does) {
  for (const char* device : {"sm80", "sm90"}) {
    each_plan(device, 3, false, [](const gpu::ConvProblem& problem, const gpu::Plan& plan) {
      EXPECT_FALSE(notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_TENSOR_CORE))
          << text_of(problem) << " " << plan.engine;
    });
    int with_tensor_cores = 0;
    each_plan(device, 2, false, [&](const gpu::ConvProblem&, const gpu::Plan& plan) {
      with_tensor_cores += notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    });
    EXPECT_GT(with_tensor_cores, 100) << device;
  }
}

TEST(Plans, DeterministicPlansSumInAFixedOrder) {
  for (const char* device : kDevices) {
    int free_ones = 0;
    each_plan(device, 3, false, [&](const gpu::ConvProblem&, const gpu::Plan& plan) {
      free_ones += notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    });
    EXPECT_GT(free_ones, 0) << device << ": the check below could not fail";
    each_plan(device, 3, true, [](const gpu::ConvProblem& problem, const gpu::Plan& plan) {
      EXPECT_FALSE(notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC))
          << text_of(problem) << " " << plan.engine;
    });
  }
}

TEST(Plans, SumsAreNeverInSixteenBit) {
  for (const char* device : kDevices)
    each_plan(device, 0, false, [](const gpu::ConvProblem& problem, const gpu::Plan& plan) {
      EXPECT_FALSE(notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
          << text_of(problem) << " " << plan.engine;
      EXPECT_FALSE(notes_of(plan).contains(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
    });
}

TEST(Plans, ARecordedNameLeadsToExactlyThatPlan) {
  for (const char* device : kDevices) {
    const gpu::PlanTarget where = target(device);
    const auto problems = resnet18_convs(kFormats[0]);
    for (std::size_t i = 0; i < problems.size(); i += 5) {
      const gpu::ConvProblem& problem = problems[i];
      const auto plans = make_plans(where, {"unit", problem, kCap, nullptr}, 10);
      EXPECT_EQ(plans.size(), 10u);
      std::set<std::string> names;
      for (const gpu::Plan& plan : plans) {
        EXPECT_TRUE(names.insert(plan.engine).second) << plan.engine << " names two plans";
        EXPECT_LE(plan.engine.size(), 80u) << plan.engine;
        const auto again = make_plans(where, {"unit", problem, kCap, &plan.engine}, 10);
        ASSERT_EQ(again.size(), 1u);
        EXPECT_EQ(json_of(again[0]), json_of(plan));
        EXPECT_EQ(again[0].workspace_bytes, plan.workspace_bytes);
      }
    }
  }
}

TEST(Plans, AnUnknownRecordedNameIsAnErrorThatNamesIt) {
  const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device("sm90"));
  const std::string recorded = "cudnn eng999{k1=2}";
  const std::string why = refusal_of([&] {
    vendor->convolution("layer1.0.conv1", resnet18_convs(kFormats[0])[2], kCap, &recorded);
  });
  EXPECT_TRUE(why.starts_with("layer1.0.conv1: convolution forward 3x3/1 64->64")) << why;
  EXPECT_TRUE(contains(why, "sm_90")) << why;
  EXPECT_TRUE(contains(why, "'cudnn eng999{k1=2}', which the checkpoint records")) << why;
}

TEST(Plans, WithoutAnyWorkspaceThereIsStillAPlan) {
  for (const char* device : kDevices) {
    const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device(device));
    for (const int format : {0, 3})
      for (const gpu::ConvProblem& problem : resnet18_convs(kFormats[format]))
        EXPECT_EQ(vendor->convolution("unit", problem, 0, nullptr)->workspace_bytes(), 0u)
            << text_of(problem);
  }
}

TEST(Plans, AnEmptyProblemIsRefusedInCudnnsWords) {
  const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device("sm90"));
  gpu::ConvProblem problem = resnet18_convs(kFormats[0])[2];
  problem.n = 0;
  const std::string why = refusal_of([&] { vendor->convolution("u", problem, kCap, nullptr); });
  EXPECT_TRUE(contains(why, "CUDNN_STATUS_BAD_PARAM")) << why;
  EXPECT_TRUE(why.starts_with("u: convolution forward 3x3/1 64->64 56x56 n0 fp16 on sm_90")) << why;
  problem.n = 1;
  problem.type = affuse::DType::f64;
  const std::string types = refusal_of([&] { vendor->convolution("u", problem, kCap, nullptr); });
  EXPECT_TRUE(contains(types, "fp64")) << types;
}

TEST(Plans, ABrokenDescriptionIsRefusedInCudnnsWords) {
  const DescribedDevice good = *affuse::find_described_device("sm90");
  std::string unknown = good.json;
  unknown.replace(unknown.find("900"), 3, "123");
  for (const std::string& json : {std::string(), std::string("{"), std::string("{}"),
                                  good.json.substr(0, good.json.size() - 1), unknown}) {
    DescribedDevice device = good;
    device.json = json;
    const std::string why = refusal_of([&] { gpu::make_planning_vendor(device); });
    EXPECT_TRUE(why.starts_with("described device sm90: cuDNN cannot ")) << json << ": " << why;
    EXPECT_TRUE(contains(why, "CUDNN_STATUS_")) << why;
    EXPECT_FALSE(contains(why, "\n")) << why;
  }
}

TEST(Plans, APlannedConvolutionOrProductRefusesToRun) {
  const auto vendor = gpu::make_planning_vendor(*affuse::find_described_device("sm90"));
  const auto convolution = vendor->convolution("u", resnet18_convs(kFormats[0])[2], kCap, nullptr);
  EXPECT_TRUE(contains(refusal_of([&] { convolution->run({}, nullptr); }), "cannot run"));
  const auto product = vendor->product("fc", {.m = 256, .n = 8, .k = 512});
  EXPECT_EQ(product->engine(), "cublasLt");
  EXPECT_TRUE(
      contains(refusal_of([&] { product->run(nullptr, nullptr, nullptr, nullptr, nullptr); }),
               "cannot run"));
}

TEST(Plans, AVariantPackNeedsNoWorkspace) {
  alignas(16) float x[4] = {};
  EXPECT_NO_THROW(gpu::variant_pack({x, x, x, nullptr}));
}

}  // namespace
