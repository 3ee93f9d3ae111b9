// The training program of two ranks, which are threads: its steps, and that both decide alike.
#include <limits>

#include "kernels/math/affect.h"
#include "kernels/math/augment.h"
#include "kernels/math/targets.h"
#include "layers/model.h"
#include "tests/engine/local_ranks.h"

namespace affuse {
namespace {

constexpr int kBatch = 4, kClasses = 3;

std::unique_ptr<Model> make_model(const std::shared_ptr<Communicator>& ranks) {
  NetworkSpec network;
  network.image_size = 32;
  network.classes = kClasses;
  LowerSpec spec;
  spec.batch = kBatch;
  auto backend = make_cpu_backend(1);
  if (ranks != nullptr) backend->join(ranks);
  auto model =
      std::make_unique<Model>(std::move(backend), network, spec, Adam{.9f, .999f, 1e-8f, 0, false});
  model->parameters().initialise(3);
  model->parameters_changed();
  math::LossSettings loss;
  loss.classes = kClasses;
  math::TargetModel<float> target{};
  target.kind = math::TargetKind::onehot;
  target.classes = kClasses;
  model->bind(external::loss_settings, &loss, sizeof loss);
  model->bind(external::label_model, &target, sizeof target);
  return model;
}

/// A step on made-up faces; the first one's valence as given.
const StepState& step(Model& model, int seed, float valence) {
  Plan& plan = model.plan(Mode::train);
  std::vector<std::uint8_t> images(kBatch * 32 * 32 * 3);
  for (std::size_t i = 0; i < images.size(); ++i)
    images[i] = static_cast<std::uint8_t>((i * 37 + i / 96 * static_cast<std::size_t>(seed)) % 251);
  const std::vector<math::AugmentParams> augment(kBatch, math::identity_augment());
  const std::vector<std::int32_t> labels = {0, 1, 2, seed % kClasses};
  std::vector<float> va(kBatch * 2, 0.25f);
  va[0] = valence;
  const std::vector<std::uint8_t> has_va(kBatch, 1);
  const std::vector<float> given(kBatch * kClasses, 0.f);
  plan.upload(io::images, images.data(), images.size());
  plan.upload(io::augment, augment.data(), augment.size() * sizeof augment[0]);
  plan.upload(io::label, labels.data(), labels.size() * sizeof labels[0]);
  plan.upload(io::va, va.data(), va.size() * sizeof va[0]);
  plan.upload(io::has_va, has_va.data(), has_va.size());
  plan.upload(io::given, given.data(), given.size() * sizeof given[0]);
  StepState& s = plan.state();
  s.valid = kBatch;
  s.share = 0.5f;
  s.lr = 1e-3f;
  s.step = 1;
  plan.run();
  return s;
}

/// The kernel of the last convolution.
std::vector<float> weights_of(const Model& model) {
  ParamId last = 0;
  for (ParamId id = 0; id < static_cast<ParamId>(model.graph().params().size()); ++id)
    if (model.graph().param_at(id).kind == ParamKind::conv_weight) last = id;
  return model.parameters().get(external::weights, last);
}

std::vector<Step> reductions(const Program& program) {
  std::vector<Step> out;
  for (const Step& s : program.steps)
    if (s.name.starts_with("all_reduce")) out.push_back(s);
  return out;
}

TEST(RanksProgram, SumsSlicesWhileBackwardRunsAndAloneNone) {
  EXPECT_TRUE(reductions(make_model(nullptr)->plan(Mode::train).program()).empty());
  test::for_each_group(2, [](const std::shared_ptr<RankGroup>& group) {
    const auto model = make_model(make_cpu_communicator(group));
    const Program& program = model->plan(Mode::train).program();
    const std::vector<Step> sums = reductions(program);
    ASSERT_GE(sums.size(), 4u);
    EXPECT_EQ(sums.front().name, "all_reduce 1");
    EXPECT_EQ(sums.back().name, "all_reduce finish");
    double bytes = 0;
    for (const Step& s : sums) {
      EXPECT_EQ(s.engine, "tcp");
      bytes += s.parameter_bytes;
    }
    EXPECT_EQ(bytes, 2.0 * static_cast<double>(model->parameters().bytes(external::gradients)));
    // The first slice does not wait for backward's end, the update does for the last.
    const auto at = [&](const std::string& name) {
      for (std::size_t i = 0; i < program.steps.size(); ++i)
        if (program.steps[i].name == name) return i;
      return program.steps.size();
    };
    EXPECT_LT(at("all_reduce 1"), at("layer3.0.conv1 backward weights"));
    EXPECT_EQ(at("all_reduce finish") + 1, at("adam"));
    EXPECT_TRUE(reductions(model->plan(Mode::eval).program()).empty());
  });
}

TEST(RanksProgram, GradientsAreTheSumsOfWhatEachComputesAlone) {
  std::vector<float> alone[2], together[2];
  const auto gradients = [](const Model& model) {
    const Parameters& p = model.parameters();
    const auto* data = static_cast<const float*>(p.data(external::gradients));
    return std::vector<float>(data, data + p.layout().weights);
  };
  for (int r = 0; r < 2; ++r) {
    const auto model = make_model(nullptr);
    step(*model, r, 0.5f);
    alone[r] = gradients(*model);
  }
  test::for_each_group(2, [&](const std::shared_ptr<RankGroup>& group) {
    const auto model = make_model(make_cpu_communicator(group));
    step(*model, group->rank(), 0.5f);
    together[group->rank()] = gradients(*model);
  });
  for (std::size_t i = 0; i < alone[0].size(); ++i) alone[0][i] += alone[1][i];
  EXPECT_EQ(together[0], alone[0]) << "to the bit";
  EXPECT_EQ(together[1], alone[0]);
}

TEST(RanksProgram, BothTakeTheSameStepOrNone) {
  std::vector<float> after[2];
  test::for_each_group(2, [&](const std::shared_ptr<RankGroup>& group) {
    const int r = group->rank();
    const auto model = make_model(make_cpu_communicator(group));
    const std::vector<float> before = weights_of(*model);
    // One rank's loss is not finite.
    EXPECT_EQ(step(*model, r, r == 1 ? std::numeric_limits<float>::infinity() : 0.f).found_inf, 1);
    EXPECT_EQ(weights_of(*model), before);
    const StepState& s = step(*model, r, 0.5f);
    EXPECT_EQ(s.found_inf, 0);
    double loss[] = {s.loss, -s.loss};
    group->max(loss, 2);
    EXPECT_EQ(loss[0], -loss[1]) << "the global loss on both";
    after[r] = weights_of(*model);
    EXPECT_NE(after[r], before);
  });
  EXPECT_EQ(after[0], after[1]);
}

}  // namespace
}  // namespace affuse
