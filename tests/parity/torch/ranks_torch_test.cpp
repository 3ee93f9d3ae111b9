// Two ranks beside LibTorch: one set of weights, two half batches, the mean of their gradients.
#include <fmt/format.h>

#include "gtest/gtest.h"
#include "tests/engine/local_ranks.h"
#include "tests/parity/torch/gates.h"

namespace affuse::parity {
namespace {

/// Small, so that no ReLU stands within rounding of 0 (see gates.h).
constexpr int kImage = 32, kHalf = 8, kSteps = 3, kRanks = 2;

/// A rank's half of the batch of a step; the last is shared unevenly.
Batch half_of(int rank, int step) {
  const int valid = step + 1 < kSteps ? kHalf : 7 - 3 * rank;
  return make_batch(kHalf, valid, kImage, static_cast<unsigned>(100 + 10 * step + rank));
}

double share_of(int rank, int step) {
  double all = 0;
  for (int r = 0; r < kRanks; ++r) all += half_of(r, step).valid;
  return half_of(rank, step).valid / all;
}

/// The twin's global loss; its gradients are left in its parameters.
double torch_step(Twin& twin, int step) {
  twin.zero_grad();
  Tensor all = torch::zeros({});
  for (int r = 0; r < kRanks; ++r) {
    const Batch batch = half_of(r, step);
    const auto out = twin.forward(normalised(batch, torch::kFloat));
    all = all + share_of(r, step) * losses(out, batch, fused_labels(batch)).total();
  }
  all.backward();
  return all.item<double>();
}

TEST(RanksTorch, TwoRanksSumToTorchsMeanOfGradients) {
  constexpr double kWidth = 0.25;
  Twin twin(base_channels(kWidth));
  twin.randomise(5);
  twin.train();
  Closeness loss_close("two ranks, losses", 1e-4), close("two ranks, gradients", 1e-3);
  std::vector<float> last[kRanks];
  test::for_each_group(kRanks, [&](const std::shared_ptr<RankGroup>& group) {
    const int r = group->rank();
    Rig rig(kImage, kWidth, kHalf, Precision::fp32, 0.f, make_cpu_communicator(group));
    if (group->first()) give(twin, rig.parameters(), external::weights);
    void* weights = rig.parameters().data(external::weights);
    group->broadcast(weights, rig.parameters().bytes(external::weights));
    rig.model().parameters_changed();
    for (int step = 0; step < kSteps; ++step) {
      // Beside the same weights: Adam turns gradients that are rounding into whole steps.
      if (group->first()) take(twin, rig.parameters(), external::weights);
      const double loss = rig.train(half_of(r, step), step + 1, 1e-3, share_of(r, step)).loss;
      if (!group->first()) continue;
      loss_close.check(fmt::format("step {}", step + 1), loss, torch_step(twin, step));
      for_gradients(rig, twin, [&](const std::string& name, const Tensor& got, const Tensor& want) {
        close.check(fmt::format("step {}, {}", step + 1, name), got, want);
      });
    }
    last[r] = rig.parameters().get(external::weights, 0);
  });
  EXPECT_EQ(last[0], last[1]);
}

}  // namespace
}  // namespace affuse::parity
