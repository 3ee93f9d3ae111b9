// A model on the CPU backend: parameters go in and out unchanged, plans share a slab, evaluation
// follows changed weights, averages are averages.
#include "layers/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"
#include "kernels/math/affect.h"
#include "kernels/math/augment.h"
#include "kernels/math/targets.h"

namespace affuse {
namespace {

constexpr int kBatch = 5, kClasses = 3;

struct Fixture {
  std::unique_ptr<Model> model;

  explicit Fixture(Precision precision = Precision::fp32, bool mixup = false) {
    NetworkSpec network;
    network.image_size = 32;
    network.classes = kClasses;
    network.width = 0.25;
    network.mixup = mixup;
    LowerSpec spec;
    spec.batch = kBatch;
    spec.precision = precision;
    model = std::make_unique<Model>(make_cpu_backend(2), network, spec,
                                    Adam{.9f, .999f, 1e-8f, 0, false});
    model->parameters().initialise(3);
    model->parameters_changed();
    math::LossSettings loss;
    loss.classes = kClasses;
    math::TargetModel<float> target{};
    target.kind = math::TargetKind::onehot;
    target.classes = kClasses;
    model->bind(external::loss_settings, &loss, sizeof loss);
    model->bind(external::label_model, &target, sizeof target);
  }

  void fill(Mode mode, std::uint64_t seed, int valid = kBatch) {
    Plan& plan = model->plan(mode);
    Philox random(seed, Purpose::test);
    std::vector<std::uint8_t> images(kBatch * 32 * 32 * 3);
    for (auto& x : images) x = static_cast<std::uint8_t>(random.bits());
    std::vector<std::int32_t> labels(kBatch);
    for (auto& x : labels) x = static_cast<std::int32_t>(random.below(kClasses));
    const std::vector<math::AugmentParams> augment(kBatch);
    std::vector<float> va(kBatch * 2), given(kBatch * kClasses, 0.f);
    for (auto& x : va) x = static_cast<float>(random.uniform(-1, 1));
    const std::vector<std::uint8_t> has_va(kBatch, 1);
    plan.upload(io::images, images.data(), images.size());
    plan.upload(io::augment, augment.data(), augment.size() * sizeof augment[0]);
    if (plan.has(io::label)) {
      plan.upload(io::label, labels.data(), labels.size() * 4);
      plan.upload(io::va, va.data(), va.size() * 4);
      plan.upload(io::has_va, has_va.data(), has_va.size());
      plan.upload(io::given, given.data(), given.size() * 4);
    }
    plan.state().valid = valid;
  }

  double train_step(int step, std::uint64_t seed, int valid = kBatch) {
    fill(Mode::train, seed, valid);
    Plan& plan = model->plan(Mode::train);
    plan.state().lr = 1e-3f;
    plan.state().step = step;
    plan.run();
    return plan.state().loss;
  }

  double eval_loss(WeightSet set, std::uint64_t seed) {
    Plan& plan = model->plan(Mode::eval);
    plan.use(set);
    fill(Mode::eval, seed);
    plan.run();
    return plan.state().loss;
  }
};

TEST(Parameters, PublicOrderGoesInAndOut) {
  Fixture f;
  const Graph& graph = f.model->graph();
  Parameters& parameters = f.model->parameters();
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
    std::vector<float> values(static_cast<std::size_t>(graph.param_at(id).shape.count()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 0.5f;
    for (const char* buffer : {external::weights, external::average}) {
      parameters.set(buffer, id, values);
      EXPECT_EQ(parameters.get(buffer, id), values) << graph.param_at(id).name;
    }
  }
  EXPECT_THROW(parameters.set(external::weights, 0, std::vector<float>(3)), Error);
  EXPECT_THROW(parameters.get("no such buffer", 0), Error);
}

TEST(Model, LearnsABatchByHeart) {
  Fixture f;
  const double first = f.train_step(1, 11);
  double last = first;
  for (int step = 2; step <= 40; ++step) last = f.train_step(step, 11);
  EXPECT_LT(last, first / 5);
}

TEST(Model, TwoModelsStepInTheSameBits) {
  Fixture a, b;
  for (int step = 1; step <= 5; ++step)
    EXPECT_EQ(a.train_step(step, static_cast<std::uint64_t>(step)),
              b.train_step(step, static_cast<std::uint64_t>(step)));
  for (ParamId id = 0; id < static_cast<ParamId>(a.model->graph().params().size()); ++id)
    EXPECT_EQ(a.model->parameters().get(external::weights, id),
              b.model->parameters().get(external::weights, id));
}

TEST(Model, PaddingDoesNotMatter) {
  // Rows behind `valid` hold whatever was there; losses and updates must not see them.
  Fixture a, b;
  a.fill(Mode::train, 5);
  const double x = a.train_step(1, 7, 3);
  const std::vector<std::uint8_t> noise(kBatch * 32 * 32 * 3, 255);
  b.fill(Mode::train, 7, 3);
  Plan& plan = b.model->plan(Mode::train);
  std::vector<std::uint8_t> images(kBatch * 32 * 32 * 3);
  plan.download(io::images, images.data(), images.size());
  std::memcpy(images.data() + 3 * 32 * 32 * 3, noise.data(), 2 * 32 * 32 * 3);
  plan.upload(io::images, images.data(), images.size());
  plan.state().lr = 1e-3f;
  plan.state().step = 1;
  plan.run();
  EXPECT_EQ(plan.state().loss, x);
  EXPECT_EQ(a.model->parameters().get(external::weights, 0),
            b.model->parameters().get(external::weights, 0));
}

TEST(Model, EvaluationFollowsTheWeights) {
  Fixture f;
  const double before = f.eval_loss(WeightSet::current, 9);
  for (int step = 1; step <= 3; ++step) f.train_step(step, 9);
  EXPECT_NE(f.eval_loss(WeightSet::current, 9), before);
}

TEST(Model, AverageIsTheMeanOfItsModels) {
  Fixture f;
  Plan& average = f.model->plan(Mode::average);
  std::vector<std::vector<float>> seen;
  for (int n = 0; n < 3; ++n) {
    f.train_step(n + 1, static_cast<std::uint64_t>(n));
    seen.push_back(f.model->parameters().get(external::weights, 0));
    average.state().averaged = n;
    average.run();
  }
  const std::vector<float> mean = f.model->parameters().get(external::average, 0);
  for (std::size_t i = 0; i < mean.size(); ++i)
    EXPECT_NEAR(mean[i], (double{seen[0][i]} + seen[1][i] + seen[2][i]) / 3, 1e-7);
}

TEST(Model, StatisticsPassWritesOnlyTheAveragesStatistics) {
  Fixture f;
  f.train_step(1, 2);
  f.model->plan(Mode::average).run();
  const Graph& graph = f.model->graph();
  ParamId mean = 0;
  while (graph.param_at(mean).kind != ParamKind::running_mean) ++mean;
  const auto own = f.model->parameters().get(external::weights, mean);
  Plan& plan = f.model->plan(Mode::statistics);
  plan.use(WeightSet::average);
  f.fill(Mode::statistics, 4);
  plan.state().bn_momentum = 1;
  plan.run();
  EXPECT_EQ(f.model->parameters().get(external::weights, mean), own);
  const auto averaged = f.model->parameters().get(external::average, mean);
  double size = 0;
  for (const float x : averaged) size += std::abs(x);
  EXPECT_GT(size, 0);
}

// One step: on random pixels the next ones drift apart in any precision.
TEST(Model, Bf16IsCloseToFp32AndLearns) {
  Fixture a, b(Precision::bf16);
  const double first = a.train_step(1, 20), rounded = b.train_step(1, 20);
  EXPECT_NEAR(rounded / first, 1, 0.05);
  EXPECT_NE(rounded, first);
  double last = rounded;
  for (int step = 2; step <= 40; ++step) last = b.train_step(step, 20);
  EXPECT_LT(last, rounded / 5);
}

bool mixes(const Fixture& f, Mode mode) {
  const std::vector<Step>& steps = f.model->plan(mode).program().steps;
  return std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.name == "mixup"; });
}

TEST(Model, MixupStandsInTheTrainingProgramAloneAndOnlyWhereAskedFor) {
  const Fixture plain, mixing(Precision::fp32, true);
  for (const Mode mode : {Mode::train, Mode::eval, Mode::statistics, Mode::average}) {
    EXPECT_FALSE(mixes(plain, mode)) << name_of(mode);
    EXPECT_EQ(mixes(mixing, mode), mode == Mode::train) << name_of(mode);
  }
}

TEST(Model, MixupOfShareOneIsTheStepWithoutItToTheBit) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Fixture plain(precision), mixing(precision, true);
    for (int step = 1; step <= 2; ++step)
      EXPECT_EQ(plain.train_step(step, 6, 4), mixing.train_step(step, 6, 4));
    for (ParamId id = 0; id < static_cast<ParamId>(plain.model->graph().params().size()); ++id)
      EXPECT_EQ(plain.model->parameters().get(external::weights, id),
                mixing.model->parameters().get(external::weights, id));
  }
}

// Share 0 is the batch in reverse, with its targets in reverse; one half is something new.
TEST(Model, MixupBlendsImagesAndTargetsAlike) {
  const auto loss = [](float mix) {
    Fixture f(Precision::fp32, true);
    f.model->plan(Mode::train).state().mix = mix;
    return f.train_step(1, 6, 4);
  };
  EXPECT_NEAR(loss(0), loss(1), 1e-5 * loss(1));
  EXPECT_GT(std::abs(loss(0.5f) - loss(1)), 1e-3 * loss(1));
}

TEST(Backend, CudaSaysWhatIsMissing) {
  try {
    make_cuda_backend(0);
    FAIL();
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("no CUDA"), std::string::npos);
  }
}

TEST(Backend, RefusesPrecisionsThatNeedCuda) {
  NetworkSpec network;
  network.image_size = 32;
  network.width = 0.25;
  LowerSpec spec;
  spec.batch = 1;
  spec.precision = Precision::fp16;
  EXPECT_THROW(Model(make_cpu_backend(1), network, spec, std::nullopt), DeviceError);
}

}  // namespace
}  // namespace affuse
