// The network's names and shapes are torchvision's; its start is torch's.
#include "layers/resnet18.h"

#include <cmath>
#include <map>
#include <set>

#include "engine/error.h"
#include "gtest/gtest.h"
#include "kernels/fusion.h"
#include "layers/initialise.h"

namespace affuse {
namespace {

std::map<std::string, std::string> shapes(const Graph& graph) {
  std::map<std::string, std::string> out;
  for (const Param& p : graph.params()) out[p.name] = p.shape.text();
  return out;
}

TEST(ResNet18, HasTorchvisionsNamesAndShapes) {
  const Graph graph = resnet18({});
  const auto s = shapes(graph);
  // torchvision's 122 entries less 20 num_batches_tracked and fc, and two heads.
  EXPECT_EQ(s.size(), 122u - 20 - 2 + 4);
  EXPECT_EQ(s.at("conv1.weight"), "64x3x7x7");
  EXPECT_EQ(s.at("bn1.running_var"), "64");
  EXPECT_EQ(s.at("layer1.0.conv1.weight"), "64x64x3x3");
  EXPECT_EQ(s.at("layer2.0.downsample.0.weight"), "128x64x1x1");
  EXPECT_EQ(s.at("layer2.0.downsample.1.bias"), "128");
  EXPECT_EQ(s.at("layer4.1.conv2.weight"), "512x512x3x3");
  EXPECT_EQ(s.at("fc_class.weight"), "8x512");
  EXPECT_EQ(s.at("fc_va.bias"), "2");
  EXPECT_FALSE(s.contains("layer1.0.downsample.0.weight"));
  std::int64_t count = 0;
  for (const Param& p : graph.params())
    if (p.trainable()) count += p.shape.count();
  EXPECT_EQ(count, 11176512 + 8 * 512 + 8 + 2 * 512 + 2);  // torchvision's less its fc
}

TEST(ResNet18, HasTenPointSixGigaflopsAtTraining) {
  const Graph graph = resnet18({});
  double forward = 0, stem = 0;
  for (const NamedOp& op : graph.ops()) {
    forward += graph.flops(op.op);
    if (op.name == "conv1") stem += graph.flops(op.op);
  }
  EXPECT_NEAR((3 * forward - stem) / 1e9, 10.645, 0.01);
}

TEST(ResNet18, FusesIntoTwentyUnits) {
  const Graph graph = resnet18({});
  int units = 0, residuals = 0, pools = 0;
  for (const Group& g : fuse(graph)) {
    units += g.conv != nullptr;
    residuals += g.add != nullptr;
    pools += g.pool != nullptr;
    if (g.conv != nullptr && g.name.find("downsample") != std::string::npos) {
      EXPECT_EQ(g.relu, nullptr);
    }
  }
  EXPECT_EQ(units, 20);
  EXPECT_EQ(residuals, 8);
  EXPECT_EQ(pools, 1);
}

TEST(ResNet18, WidthGivesMultiplesOfSixteen) {
  EXPECT_EQ(base_channels(1), 64);
  EXPECT_EQ(base_channels(0.5), 32);
  EXPECT_EQ(base_channels(0.1), 16);
  EXPECT_EQ(base_channels(1.1), 64);
  EXPECT_EQ(base_channels(2), 128);
  NetworkSpec spec;
  spec.width = 0.5;
  EXPECT_EQ(shapes(resnet18(spec)).at("layer4.1.conv2.weight"), "256x256x3x3");
}

TEST(ResNet18, RefusesImageSizesBetween) {
  NetworkSpec spec;
  for (const int size : {0, 31, 33, 65, -32}) {
    spec.image_size = size;
    EXPECT_THROW(resnet18(spec), ConfigError) << size;
  }
}

TEST(Initialise, FollowsTorchsDistributions) {
  const Graph graph = resnet18({});
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
    const Param& p = graph.param_at(id);
    const std::vector<float> x = initial_values(graph, id, 7);
    ASSERT_EQ(static_cast<std::int64_t>(x.size()), p.shape.count());
    double sum = 0, squares = 0, largest = 0;
    for (const float v : x) {
      sum += v;
      squares += double{v} * v;
      largest = std::max(largest, std::abs(double{v}));
    }
    const double n = static_cast<double>(x.size());
    if (p.kind == ParamKind::conv_weight) {
      const double var = 2.0 / static_cast<double>(p.shape[0] * p.shape[2] * p.shape[3]);
      EXPECT_NEAR(squares / n / var, 1, 6 * std::sqrt(2 / n)) << p.name;
      EXPECT_NEAR(sum / n, 0, 6 * std::sqrt(var / n)) << p.name;
    } else if (p.kind == ParamKind::weight || p.kind == ParamKind::bias) {
      const double bound = 1 / std::sqrt(512.0);
      EXPECT_LE(largest, bound) << p.name;
      if (n > 100) {
        EXPECT_NEAR(squares / n, bound * bound / 3, bound * bound / 20) << p.name;
      }
    }
  }
}

TEST(Initialise, IsAFunctionOfSeedAndParameter) {
  const Graph graph = resnet18({});
  EXPECT_EQ(initial_values(graph, 0, 1), initial_values(graph, 0, 1));
  EXPECT_NE(initial_values(graph, 0, 1), initial_values(graph, 0, 2));
  std::set<float> firsts;
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id)
    if (graph.param_at(id).kind == ParamKind::conv_weight)
      firsts.insert(initial_values(graph, id, 1)[0]);
  EXPECT_EQ(firsts.size(), 20u);
}

}  // namespace
}  // namespace affuse
