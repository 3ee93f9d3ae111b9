// What only a GPU can show of the CUDA program: cuDNN's convolutions at the network's own shapes,
// tf32, captured graphs, the same bits again, resuming.
#include <cstdlib>
#include <map>

#include "tests/kernels/cuda/program_rig.h"

namespace affuse {
namespace {

using program::Batch;
using program::compare_parameters;
using program::compare_records;
using program::make_batch;
using program::Rig;
using program::Setting;

TEST(GpuProgram, TrainsInTf32LikeFp32) { program::expect_training_like_fp32(Precision::tf32, 1); }

// Every kernel and convolution at the widths and maps of the real network.
TEST(GpuProgram, TrainsTheFullNetworkLikeTheCpu) {
  const Setting s{224, 1, 8, 7, Precision::fp32};
  Rig cpu(make_cpu_backend(0), s), gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 3);
  const StepState want = cpu.run(Mode::train, batch), got = gpu.run(Mode::train, batch);
  EXPECT_NEAR(got.loss, want.loss, 1e-4 * want.loss);
  compare_records(gpu, cpu, 1e-3, true, 40);
  const double gradients = compare_parameters(gpu, cpu, external::gradients, 1e-2, true);
  std::printf("every gradient within %.1e of the CPU's, root mean square\n", gradients);
}

/// A model's numbers and losses after some steps.
struct Outcome {
  std::vector<std::vector<float>> numbers;
  std::vector<double> losses;
  bool operator==(const Outcome&) const = default;
};

/// Steps first to last, the first step is 1; each has a batch of its own.
Outcome train(Rig& rig, const Setting& s, int first, int last) {
  Outcome out;
  for (int step = first; step <= last; ++step)
    out.losses.push_back(
        rig.run(Mode::train, make_batch(s, static_cast<unsigned>(step)), step).loss);
  const Parameters& parameters = rig.model().parameters();
  for (ParamId id = 0; id < static_cast<ParamId>(parameters.graph().params().size()); ++id)
    for (const char* buffer : {external::weights, external::moment1, external::moment2})
      if (buffer == external::weights || parameters.graph().param_at(id).trainable())
        out.numbers.push_back(parameters.get(buffer, id));
  return out;
}

void restore(Rig& rig, const Outcome& from) {
  Parameters& parameters = rig.model().parameters();
  std::size_t next = 0;
  for (ParamId id = 0; id < static_cast<ParamId>(parameters.graph().params().size()); ++id)
    for (const char* buffer : {external::weights, external::moment1, external::moment2})
      if (buffer == external::weights || parameters.graph().param_at(id).trainable())
        parameters.set(buffer, id, from.numbers.at(next++));
  rig.model().parameters_changed();
}

class GpuProgramEvery : public testing::TestWithParam<Precision> {
 protected:
  const Setting setting_{64, .25, 6, 6, GetParam(), true};
  /// All with the implementations that the first one of this precision chose.
  std::unique_ptr<Rig> start() const {
    static std::map<Precision, EngineChoices> known;
    const auto found = known.find(GetParam());
    auto rig = Rig::plain(make_backend_under_test(), setting_,
                          found == known.end() ? nullptr : &found->second);
    known.emplace(GetParam(), rig->model().choices());
    EXPECT_EQ(rig->model().choices(), known.at(GetParam()));
    return rig;
  }
};

// Step 1 runs step by step, step 2 is captured, the others are replayed.
TEST_P(GpuProgramEvery, GivesTheSameBitsAgain) {
  const Outcome want = train(*start(), setting_, 1, 5);
  EXPECT_TRUE(std::isfinite(want.losses.back()));
  EXPECT_TRUE(train(*start(), setting_, 1, 5) == want);
}

TEST_P(GpuProgramEvery, CapturedEqualsStepByStep) {
  const Outcome want = train(*start(), setting_, 1, 5);
  setenv("AFFUSE_CUDA_GRAPH", "off", 1);
  const auto apart = start();
  unsetenv("AFFUSE_CUDA_GRAPH");
  EXPECT_TRUE(train(*apart, setting_, 1, 5) == want);
}

TEST_P(GpuProgramEvery, ResumesWithTheSameBits) {
  const auto whole = start();
  const Outcome middle = train(*whole, setting_, 1, 3), end = train(*whole, setting_, 4, 6);
  const auto resumed = start();
  restore(*resumed, middle);
  EXPECT_TRUE(train(*resumed, setting_, 4, 6) == end);
}

INSTANTIATE_TEST_SUITE_P(Types, GpuProgramEvery,
                         testing::Values(Precision::fp32, Precision::tf32, Precision::fp16,
                                         Precision::bf16),
                         [](const auto& type) { return name_of(type.param); });

}  // namespace
}  // namespace affuse
