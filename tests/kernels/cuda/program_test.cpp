// The whole CUDA program - its lowering and its own kernels, emulated with convolutions from plain
// loops, or on a GPU - against the CPU backend: every activation, output, loss, gradient, updated
// weight and running statistic of training steps, of evaluation and of SWA's passes.
#include <algorithm>

#include "tests/kernels/cuda/program_rig.h"

namespace affuse {
namespace {

using program::Batch;
using program::compare_parameters;
using program::compare_records;
using program::copy_parameters;
using program::difference;
using program::make_batch;
using program::Rig;
using program::Setting;

void expect_training_like_the_cpu(const Setting& s) {
  const program::Agreement near = program::fp32_agreement();
  Rig cpu(make_cpu_backend(2), s), gpu(make_backend_under_test(), s);
  for (int step = 1; step <= 3; ++step) {
    SCOPED_TRACE(step);
    // Adam's first steps are the gradient's sign: one that is 0 but for rounding goes either way.
    copy_parameters(cpu, gpu);
    const Batch batch = make_batch(s, static_cast<unsigned>(step));
    const StepState want = cpu.run(Mode::train, batch, step);
    const StepState got = gpu.run(Mode::train, batch, step);
    EXPECT_NEAR(got.loss_ce, want.loss_ce, 1e-5 * want.loss_ce);
    EXPECT_NEAR(got.loss_cs, want.loss_cs, 1e-5 * want.loss_cs);
    EXPECT_NEAR(got.loss_l2, want.loss_l2, 1e-5 * want.loss_l2);
    EXPECT_NEAR(got.loss, want.loss, 1e-5 * want.loss);
    EXPECT_EQ(got.found_inf, 0);
    compare_records(gpu, cpu, near.maps, false, 40);
    const double gradients =
        compare_parameters(gpu, cpu, external::gradients, near.gradients, near.rms);
    std::printf("step %d: every gradient within %.1e of the CPU's\n", step, gradients);
    // The same update where the gradient is more than rounding.
    compare_parameters(gpu, cpu, external::weights, 2e-2, true);
  }
}

void expect_heads_like_the_cpu(const Setting& s) {
  const program::Agreement near = program::fp32_agreement();
  Rig cpu(make_cpu_backend(2), s), gpu(make_backend_under_test(), s);
  // Statistics that are not the start's zeros and ones.
  cpu.run(Mode::statistics, make_batch(s, 4));
  cpu.model().parameters_changed();
  for (int step = 1; step <= 3; ++step) {
    SCOPED_TRACE(step);
    copy_parameters(cpu, gpu);
    const Batch batch = make_batch(s, static_cast<unsigned>(step));
    const StepState want = cpu.run(Mode::heads, batch, step);
    const StepState got = gpu.run(Mode::heads, batch, step);
    EXPECT_NEAR(got.loss, want.loss, 1e-5 * want.loss);
    EXPECT_EQ(got.found_inf, 0);
    for (const char* name : {io::logits, io::va_out, io::features, io::probability, io::target})
      EXPECT_LT(difference(gpu.record.at(name), cpu.record.at(name), false), near.outputs) << name;
    const double gradients =
        compare_parameters(gpu, cpu, external::gradients, near.gradients, near.rms);
    std::printf("step %d: the heads' gradients within %.1e of the CPU's\n", step, gradients);
    compare_parameters(gpu, cpu, external::weights, 2e-2, true);
  }
}

TEST(CudaProgram, TrainsHeadsLikeTheCpu) {
  expect_heads_like_the_cpu({32, .25, 6, 5, Precision::fp32, false, true});
}

TEST(CudaProgram, TrainsMixedHeadsLikeTheCpu) {
  expect_heads_like_the_cpu({32, .25, 6, 5, Precision::fp32, false, true, .3f});
}

TEST(CudaProgram, AHeadsStepTouchesTheHeadsAlone) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::fp16}) {
    const Setting s{32, .25, 4, 4, precision, false, true};
    Rig gpu(make_backend_under_test(), s);
    const auto params = gpu.model().graph().params();
    const auto all = [&] {
      std::vector<std::vector<float>> values;
      for (ParamId id = 0; id < static_cast<ParamId>(params.size()); ++id)
        for (const char* buffer : {external::weights, external::moment1, external::moment2})
          if (params[static_cast<std::size_t>(id)].trainable() || buffer == external::weights)
            values.push_back(gpu.model().parameters().get(buffer, id));
      return values;
    };
    gpu.run(Mode::train, make_batch(s, 1));
    gpu.model().parameters_changed();
    const auto before = all();
    EXPECT_EQ(gpu.run(Mode::heads, make_batch(s, 2), 2).found_inf, 0);
    const auto after = all();
    std::size_t at = 0;
    for (const Param& p : params)
      for (int buffer = 0; buffer < (p.trainable() ? 3 : 1); ++buffer, ++at)
        EXPECT_EQ(before[at] != after[at], p.name.starts_with("fc_")) << p.name << " " << buffer;
  }
}

TEST(CudaProgram, TrainsLikeTheCpu) {
  expect_training_like_the_cpu({32, .25, 6, 5, Precision::fp32});
}

TEST(CudaProgram, TrainsMixedLikeTheCpu) {
  Setting s{32, .25, 6, 5, Precision::fp32};
  s.mix = .3f;
  expect_training_like_the_cpu(s);
}

TEST(CudaProgram, MixesInTrainingAloneAndOnlyWhereAskedFor) {
  for (const float mix : {.3f, 1.f}) {
    Setting s{32, .25, 2, 2, Precision::fp32};
    s.mix = mix;
    Rig gpu(make_backend_under_test(), s);
    for (const Mode mode : {Mode::train, Mode::eval, Mode::statistics, Mode::average}) {
      const auto& steps = gpu.model().plan(mode).program().steps;
      const auto count = std::count_if(steps.begin(), steps.end(),
                                       [](const Step& step) { return step.name == "mixup"; });
      EXPECT_EQ(count, mode == Mode::train && mix != 1 ? 1 : 0) << name_of(mode);
    }
  }
}

TEST(CudaProgram, EvaluatesLikeTheCpu) {
  const Setting s{64, .25, 3, 3, Precision::fp32};
  Rig cpu(make_cpu_backend(2), s), gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 4);
  // Statistics that are not the start's zeros and ones.
  cpu.run(Mode::statistics, batch);
  gpu.run(Mode::statistics, batch);
  cpu.model().parameters_changed();
  gpu.model().parameters_changed();
  compare_parameters(gpu, cpu, external::weights, program::fp32_agreement().outputs, false);
  const double want = cpu.run(Mode::eval, batch).loss;
  const double got = gpu.run(Mode::eval, batch).loss;
  EXPECT_NEAR(got, want, 1e-5 * want);
  for (const char* name : {io::logits, io::va_out, io::features, io::probability, io::target})
    EXPECT_LT(difference(gpu.record.at(name), cpu.record.at(name), false),
              program::fp32_agreement().outputs)
        << name;
}

TEST(CudaProgram, AveragesLikeTheCpu) {
  const Setting s{32, .25, 4, 4, Precision::fp32};
  Rig cpu(make_cpu_backend(2), s), gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 5);
  for (Rig* rig : {&cpu, &gpu})
    for (int k = 0; k < 2; ++k) {
      rig->model().plan(Mode::average).state().averaged = k;
      rig->model().plan(Mode::average).run();
      Plan& statistics = rig->model().plan(Mode::statistics);
      statistics.use(WeightSet::average);
      statistics.state().bn_momentum = 1.f / static_cast<float>(k + 1);
      rig->run(Mode::statistics, batch);
    }
  compare_parameters(gpu, cpu, external::average, program::fp32_agreement().maps, false);
}

class CudaProgram16 : public testing::TestWithParam<Precision> {};

TEST_P(CudaProgram16, TrainsLikeFp32) {
  program::expect_training_like_fp32(GetParam(), GetParam() == Precision::bf16 ? 8 : 1);
}

TEST_P(CudaProgram16, TrainsMixedLikeFp32) {
  program::expect_training_like_fp32(GetParam(), GetParam() == Precision::bf16 ? 8 : 1, .3f);
}

INSTANTIATE_TEST_SUITE_P(Types, CudaProgram16, testing::Values(Precision::bf16, Precision::fp16),
                         [](const auto& type) { return name_of(type.param); });

TEST(CudaProgram, SkipsTheUpdateWhenScaledGradientsOverflow) {
  const Setting s{32, .25, 4, 4, Precision::fp16};
  Rig gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 7);
  gpu.run(Mode::train, batch);
  const ParamId id = 0;
  const auto before = gpu.model().parameters().get(external::weights, id);
  gpu.model().plan(Mode::train).state().loss_scale = 1e9f;
  const StepState state = gpu.run(Mode::train, batch, 2);
  EXPECT_TRUE(std::isfinite(state.loss));
  EXPECT_EQ(state.found_inf, 1);
  EXPECT_EQ(gpu.model().parameters().get(external::weights, id), before);
  gpu.model().plan(Mode::train).state().loss_scale = 256;
  EXPECT_EQ(gpu.run(Mode::train, batch, 2).found_inf, 0);
  EXPECT_NE(gpu.model().parameters().get(external::weights, id), before);
}

TEST(CudaProgram, SkipsTheHeadsWhenTheirScaledGradientsOverflow) {
  const Setting s{32, .25, 4, 4, Precision::fp16, false, true};
  Rig gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 7);
  const auto id = static_cast<ParamId>(gpu.model().graph().params().size() - 2);  // fc_va.weight
  const auto before = gpu.model().parameters().get(external::weights, id);
  // The heads' gradients are fp32: it takes more than fp16's range to overflow.
  gpu.model().plan(Mode::heads).state().loss_scale = 3e38f;
  const StepState state = gpu.run(Mode::heads, batch);
  EXPECT_TRUE(std::isfinite(state.loss));
  EXPECT_EQ(state.found_inf, 1);
  EXPECT_EQ(gpu.model().parameters().get(external::weights, id), before);
  gpu.model().plan(Mode::heads).state().loss_scale = 256;
  EXPECT_EQ(gpu.run(Mode::heads, batch).found_inf, 0);
  EXPECT_NE(gpu.model().parameters().get(external::weights, id), before);
}

}  // namespace
}  // namespace affuse
