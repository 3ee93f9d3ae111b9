// Execution plans of a convolution: cuDNN's heuristics propose engines, this keeps those that the
// precision, determinism and the workspace cap permit.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn/descriptor.h"
#include "kernels/cuda/vendor.h"

namespace affuse::AFFUSE_CUDA_NAMESPACE {

/// The GPU that plans are made for: a described one, or the one that a handle drives.
struct PlanTarget {
  std::optional<Descriptor> properties;  ///< described, or none
  int architecture;                      ///< 90: compute capability 9.0
  cudnnHandle_t handle = nullptr;        ///< where there are no properties
};

struct PlanRequest {
  std::string unit;  ///< for errors
  ConvProblem problem;
  std::size_t workspace_cap;    ///< bytes
  const std::string* recorded;  ///< the one engine to take, or nullptr
};

/// What a plan was made from lives as long as the plan.
struct Plan {
  std::shared_ptr<const Descriptor> graph;
  Descriptor config;
  Descriptor plan;
  std::string engine;  ///< "cudnn eng63{k12=16,k17=1}": engine and its knobs' types and values
  std::size_t workspace_bytes;
};

/// 1 to `most` plans, what cuDNN expects to be fastest first; the recorded one alone where the
/// request names one. fp32 without TF32 takes no tensor cores. Throws DeviceError that names unit,
/// problem and architecture where there is none.
std::vector<Plan> make_plans(const PlanTarget& target, const PlanRequest& request,
                             std::size_t most);

}  // namespace affuse::AFFUSE_CUDA_NAMESPACE
