// The emulated program among two ranks that hold the same half of a batch: the sums over them are
// what one process computes.
#include <memory>
#include <vector>

#include "tests/kernels/cuda/program_rig.h"

namespace affuse {
namespace {

using program::compare_parameters;
using program::make_batch;
using program::Rig;
using program::Setting;

/// Both ranks are this one: a sum is twice the number. What a slice held when its sum began counts,
/// so that a gradient computed later shows.
class Twins : public Communicator {
 public:
  explicit Twins(int& slices) : slices_(slices) {}
  int size() const override { return 2; }
  std::string name() const override { return "twins"; }

  void start_sum(float* data, std::size_t count, void* /*stream*/) override {
    begun_.push_back({data, std::vector<float>(data, data + count)});
    std::fill(data, data + count, 1e30f);
  }
  void finish_sums(void* /*stream*/) override {
    for (const Begun& b : begun_)
      for (std::size_t i = 0; i < b.values.size(); ++i) b.data[i] = 2 * b.values[i];
    slices_ = static_cast<int>(begun_.size());
    begun_.clear();
  }
  void sum(double* data, std::size_t count, void* /*stream*/) override {
    for (std::size_t i = 0; i < count; ++i) data[i] *= 2;
  }

 private:
  struct Begun {
    float* data;
    std::vector<float> values;
  };
  int& slices_;
  std::vector<Begun> begun_;
};

/// The same step by twin ranks, each with half the batch's share, and by one process.
struct TwinsAndOne {
  TwinsAndOne(const Setting& s, Mode mode) {
    auto backend = make_backend_under_test();
    backend->join(std::make_shared<Twins>(slices));
    ranks = Rig::plain(std::move(backend), s, nullptr);
    alone = Rig::plain(make_backend_under_test(), s, nullptr);
    ranks->model().plan(mode).state().share = .5f;
    const auto batch = make_batch(s, 9);
    got = ranks->run(mode, batch);
    want = alone->run(mode, batch);
  }

  int slices = 0;
  std::unique_ptr<Rig> ranks, alone;
  StepState got, want;
};

TEST(CudaRanks, SumsAreThoseOfOneProcess) {
  // Wide enough for several slices.
  const TwinsAndOne run({32, .75, 2, 2, Precision::fp32}, Mode::train);
  const auto& [slices, ranks, alone, got, want] = run;
  EXPECT_GE(slices, 2);
  EXPECT_EQ(got.found_inf, 0);
  EXPECT_NEAR(got.loss, want.loss, 1e-12 * want.loss);
  EXPECT_NEAR(got.loss_l2, want.loss_l2, 1e-12 * want.loss_l2);
  // Halves and doubles round nothing.
  compare_parameters(*ranks, *alone, external::gradients, 1e-12, false);
  compare_parameters(*ranks, *alone, external::weights, 1e-12, false);
}

TEST(CudaRanks, AHeadsStepSumsTheHeadsAlone) {
  const TwinsAndOne run({32, .25, 2, 2, Precision::fp32, false, true}, Mode::heads);
  const auto& [slices, ranks, alone, got, want] = run;
  EXPECT_EQ(slices, 1);
  EXPECT_NEAR(got.loss, want.loss, 1e-12 * want.loss);
  // The backbone's gradients are zeros on both sides: no sum has touched them.
  compare_parameters(*ranks, *alone, external::gradients, 1e-12, false);
  compare_parameters(*ranks, *alone, external::weights, 1e-12, false);
}

TEST(CudaRanks, AnOverflowOnAnyRankSkipsTheUpdateOnAll) {
  const Setting s{32, .25, 2, 2, Precision::fp16};
  int slices = 0;
  auto backend = make_backend_under_test();
  backend->join(std::make_shared<Twins>(slices));
  const auto ranks = Rig::plain(std::move(backend), s, nullptr);
  const auto before = ranks->model().parameters().get(external::weights, 0);
  ranks->model().plan(Mode::train).state().share = .5f;
  ranks->model().plan(Mode::train).state().loss_scale = 1e9f;
  EXPECT_EQ(ranks->run(Mode::train, make_batch(s, 10)).found_inf, 1);
  EXPECT_EQ(ranks->model().parameters().get(external::weights, 0), before);
}

}  // namespace
}  // namespace affuse
