// Steps on a frozen backbone: what they touch, what they prepare, and their sums over two ranks.
#include <cstring>

#include "kernels/math/affect.h"
#include "kernels/math/augment.h"
#include "kernels/math/targets.h"
#include "layers/model.h"
#include "tests/engine/local_ranks.h"

namespace affuse {
namespace {

constexpr int kBatch = 5, kClasses = 3;

struct Options {
  Precision precision = Precision::fp32;
  std::shared_ptr<Communicator> ranks = nullptr;
  bool freezes = true;
};

class Heads {
 public:
  explicit Heads(const Options& options = {}) {
    NetworkSpec network;
    network.image_size = 32;
    network.classes = kClasses;
    network.width = 0.25;
    LowerSpec spec;
    spec.batch = kBatch;
    spec.precision = options.precision;
    auto backend = make_cpu_backend(1);
    if (options.ranks != nullptr) backend->join(options.ranks);
    model_ =
        std::make_unique<Model>(std::move(backend), network, spec,
                                Adam{.9f, .999f, 1e-8f, 1e-3f, false}, nullptr, options.freezes);
    model_->parameters().initialise(3);
    model_->parameters_changed();
    math::LossSettings loss;
    loss.classes = kClasses;
    math::TargetModel<float> target{};
    target.kind = math::TargetKind::onehot;
    target.classes = kClasses;
    model_->bind(external::loss_settings, &loss, sizeof loss);
    model_->bind(external::label_model, &target, sizeof target);
  }

  Model& operator*() { return *model_; }

  /// A run of a plan on made-up faces, of which the first `valid` count and the others are noise.
  StepState run(Mode mode, int seed, int step = 1, int valid = kBatch, float noise = 0) {
    Plan& plan = model_->plan(mode);
    std::vector<std::uint8_t> images(kBatch * 32 * 32 * 3);
    std::vector<float> va(kBatch * 2, .25f);
    for (std::size_t i = 0; i < images.size(); ++i) {
      const bool counts = i < static_cast<std::size_t>(valid) * 32 * 32 * 3;
      const auto pixel = i * 37 + i / 96 * static_cast<std::size_t>(seed + 1);
      images[i] =
          counts ? static_cast<std::uint8_t>(pixel % 251) : static_cast<std::uint8_t>(noise);
    }
    for (std::size_t i = static_cast<std::size_t>(valid) * 2; i < va.size(); ++i) va[i] = noise;
    const std::vector<math::AugmentParams> augment(kBatch, math::identity_augment());
    const std::vector<std::int32_t> labels = {0, 1, 2, seed % kClasses, 1};
    const std::vector<std::uint8_t> has_va(kBatch, 1);
    const std::vector<float> given(kBatch * kClasses, 0.f);
    const auto put = [&](const char* name, const auto& v) {
      if (plan.has(name)) plan.upload(name, v.data(), v.size() * sizeof v[0]);
    };
    put(io::images, images);
    put(io::augment, augment);
    put(io::label, labels);
    put(io::va, va);
    put(io::has_va, has_va);
    put(io::given, given);
    StepState& s = plan.state();
    s.valid = valid;
    s.share = share;
    s.lr = 1e-2f;
    s.step = step;
    plan.run();
    return s;
  }

  std::vector<float> flat(const char* buffer) const {
    const Parameters& p = model_->parameters();
    std::vector<float> values(p.bytes(buffer) / sizeof(float));
    std::memcpy(values.data(), p.data(buffer), p.bytes(buffer));
    return values;
  }
  /// Where the heads begin in a flat buffer.
  std::size_t begin() const {
    const auto& params = model_->graph().params();
    for (std::size_t i = 0; i < params.size(); ++i)
      if (params[i].name.starts_with("fc_")) return model_->parameters().layout().slots[i].offset;
    return 0;
  }

  float share = 1;

 private:
  std::unique_ptr<Model> model_;
};

/// How many of the first `end` floats differ, and how many behind them.
std::pair<std::size_t, std::size_t> differences(const std::vector<float>& a,
                                                const std::vector<float>& b, std::size_t end) {
  std::pair<std::size_t, std::size_t> n;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) ++(i < end ? n.first : n.second);
  return n;
}

TEST(HeadsStep, IsLoweredOnlyWhereItIsWanted) {
  Heads with, without({.freezes = false});
  EXPECT_TRUE((*with).has(Mode::heads));
  EXPECT_FALSE((*without).has(Mode::heads));
  EXPECT_GT((*with).choices().size(), (*without).choices().size());
}

class HeadsStepIn : public testing::TestWithParam<Precision> {};

TEST_P(HeadsStepIn, LeavesTheBackboneAndItsMomentsInTheSameBits) {
  Heads f({.precision = GetParam()});
  f.run(Mode::train, 1);  // moments and statistics that are not zeros and ones
  (*f).parameters_changed();
  constexpr const char* kBuffers[] = {external::weights, external::moment1, external::moment2};
  std::vector<std::vector<float>> before;
  for (const char* buffer : kBuffers) before.push_back(f.flat(buffer));
  const std::vector<float> running = f.flat(external::running);
  for (int step = 2; step <= 4; ++step) f.run(Mode::heads, step, step);
  EXPECT_EQ(f.flat(external::running), running);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto [backbone, heads] = differences(before[i], f.flat(kBuffers[i]), f.begin());
    EXPECT_EQ(backbone, 0u) << kBuffers[i];
    EXPECT_GE(heads, 128u * kClasses) << kBuffers[i];
  }
}

TEST_P(HeadsStepIn, ComputesAsEvaluationDoes) {
  Heads f({.precision = GetParam()});
  f.run(Mode::train, 1);
  (*f).parameters_changed();
  const double evaluated = f.run(Mode::eval, 2).loss;
  EXPECT_EQ(f.run(Mode::heads, 2).loss, evaluated);
}

TEST_P(HeadsStepIn, LearnsABatchBetterWithoutTheBackbone) {
  Heads f({.precision = GetParam()});
  f.run(Mode::train, 1);
  (*f).parameters_changed();
  const double first = f.run(Mode::heads, 2).loss;
  double last = first;
  for (int step = 2; step <= 40; ++step) last = f.run(Mode::heads, 2, step).loss;
  EXPECT_LT(last, .8 * first);
}

INSTANTIATE_TEST_SUITE_P(Precisions, HeadsStepIn, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& test) { return name_of(test.param); });

TEST(HeadsStep, PreparesTheBackboneOnceAndAgainWhenItChanged) {
  Heads f, untouched;
  EXPECT_EQ(f.run(Mode::heads, 1).loss, untouched.run(Mode::heads, 1).loss);
  std::vector<float> weights = (*f).parameters().get(external::weights, 0);
  for (float& w : weights) w = -w;
  (*f).parameters().set(external::weights, 0, weights);
  const double expected = untouched.run(Mode::heads, 2, 2).loss;
  EXPECT_EQ(f.run(Mode::heads, 2, 2).loss, expected) << "folded anew without being asked";
  (*f).plan(Mode::heads).use(WeightSet::current);
  EXPECT_NE(f.run(Mode::heads, 3, 3).loss, untouched.run(Mode::heads, 3, 3).loss);
}

TEST(HeadsStep, OtherPlansMayRunInBetween) {
  Heads alone, among;
  for (int step = 1; step <= 3; ++step) {
    alone.run(Mode::heads, step, step);
    among.run(Mode::heads, step, step);
    (*among).plan(Mode::statistics).use(WeightSet::average);
    among.run(Mode::statistics, 9);
    (*among).plan(Mode::heads).use(WeightSet::current);
  }
  EXPECT_EQ(among.flat(external::weights), alone.flat(external::weights));
}

TEST(HeadsStep, PaddingDoesNotMatter) {
  Heads a, b;
  EXPECT_EQ(a.run(Mode::heads, 1, 1, 3, 7).loss, b.run(Mode::heads, 1, 1, 3, 200).loss);
  EXPECT_EQ(a.flat(external::weights), b.flat(external::weights));
}

TEST(HeadsStep, TwoRanksSumTheHeadsGradientsAlone) {
  std::vector<float> sum, together[2], after[2];
  for (int r = 0; r < 2; ++r) {
    Heads f;
    f.share = .5f;
    f.run(Mode::heads, r);
    const std::vector<float> g = f.flat(external::gradients);
    sum.resize(g.size());
    for (std::size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
  }
  test::for_each_group(2, [&](const std::shared_ptr<RankGroup>& group) {
    Heads f({.ranks = make_cpu_communicator(group)});
    f.share = .5f;
    double bytes = 0;
    std::vector<std::string> names;
    for (const Step& s : (*f).plan(Mode::heads).program().steps) {
      if (!s.name.starts_with("all_reduce")) continue;
      names.push_back(s.name);
      bytes += s.parameter_bytes;
    }
    EXPECT_EQ(names, (std::vector<std::string>{"all_reduce 1", "all_reduce finish"}));
    const auto heads = static_cast<double>(f.flat(external::weights).size() - f.begin());
    EXPECT_EQ(bytes, 2 * sizeof(float) * heads);
    f.run(Mode::heads, group->rank());
    together[group->rank()] = f.flat(external::gradients);
    after[group->rank()] = f.flat(external::weights);
  });
  EXPECT_EQ(together[0], sum) << "to the bit";
  EXPECT_EQ(together[1], sum);
  EXPECT_EQ(after[0], after[1]);
}

TEST(Parameters, ABufferIsCleared) {
  Heads f;
  f.run(Mode::train, 1);
  (*f).parameters().clear(external::moment2);
  for (const float x : f.flat(external::moment2)) ASSERT_EQ(x, 0.f);
  EXPECT_NE(differences(f.flat(external::moment1), f.flat(external::moment2), 0).second, 0u);
}

}  // namespace
}  // namespace affuse
