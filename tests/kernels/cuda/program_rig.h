// Training, evaluation and averaging of a small network on two backends, compared step by step.
#pragma once
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/philox.h"
#include "kernels/math/affect.h"
#include "kernels/math/augment.h"
#include "kernels/math/targets.h"
#include "layers/model.h"
#include "tests/kernels/cuda/recording_backend.h"

namespace affuse {

/// The CUDA program's backend: emulated, or the GPU. Defined by emulated_backend.cpp and by
/// tests/kernels/gpu/device.cpp.
std::unique_ptr<Backend> make_backend_under_test();

namespace program {

/// How near to the CPU's fp32 the device's is: of maps and of outputs the largest difference over
/// the largest value, of gradients too, or (rms) their root mean squares. Defined likewise.
struct Agreement {
  double maps, outputs, gradients;
  bool rms;
};
Agreement fp32_agreement();

using recording::Record;
using recording::RecordingBackend;

constexpr int kClasses = 7;

struct Setting {
  int image;
  double width;
  int batch, valid;
  Precision precision;
  bool deterministic = false;
  bool freezes = false;
  float mix = 1;  ///< mixup's share; 1: a program without mixup
};

struct Batch {
  std::vector<std::uint8_t> pixels, has_va;
  std::vector<math::AugmentParams> augment;
  std::vector<std::int32_t> label;
  std::vector<float> va, given;
};

inline Batch make_batch(const Setting& s, std::uint64_t seed) {
  Philox random(seed, Purpose::test);
  const auto n = static_cast<std::size_t>(s.batch);
  Batch b;
  b.pixels.resize(n * static_cast<std::size_t>(s.image * s.image * 3));
  for (auto& x : b.pixels) x = static_cast<std::uint8_t>(random.bits());
  b.augment.resize(n);
  b.augment[0].flip = 1;
  b.augment[1].inverse = math::inverse_affine(12, 2, -1, 1.1);
  b.augment[1].contrast = 1.3f;
  b.augment[1].hue = .1f;
  for (std::size_t i = 0; i < n; ++i) {
    b.label.push_back(static_cast<std::int32_t>(random.below(kClasses + 1)) - 1);
    b.has_va.push_back(i % 3 != 2);
    b.va.push_back(static_cast<float>(random.uniform(-1, 1)));
    b.va.push_back(static_cast<float>(random.uniform(-1, 1)));
  }
  b.given.resize(n * kClasses);
  return b;
}

inline math::TargetModel<float> label_model() {
  math::TargetModel<float> m{};
  m.kind = math::TargetKind::gmm;
  m.classes = kClasses;
  m.knows_va = true;
  m.alpha = .5f;
  m.gmm.classes = kClasses;
  for (int k = 0; k < kClasses; ++k) {
    const auto at = static_cast<float>(k) / kClasses - .5f;
    m.gmm.gaussian[k] = math::make_gaussian(1.f / kClasses, at, -at, .2f, .03f, .3f);
  }
  return m;
}

/// A model on a backend with the losses' settings, its start that of seed 11.
class Rig {
 public:
  /// Keeps what every step writes.
  Rig(std::unique_ptr<Backend> backend, const Setting& s)
      : Rig(s, std::make_unique<RecordingBackend>(std::move(backend), record), nullptr) {}
  /// Runs as training does, with the implementations of another run where they are given.
  static std::unique_ptr<Rig> plain(std::unique_ptr<Backend> backend, const Setting& s,
                                    const EngineChoices* choices) {
    return std::unique_ptr<Rig>(new Rig(s, std::move(backend), choices));
  }

  Model& model() { return model_; }

  StepState run(Mode mode, const Batch& b, int step = 1) {
    record.clear();
    Plan& plan = model_.plan(mode);
    const auto put = [&](const char* name, const auto& v) {
      if (plan.has(name)) plan.upload(name, v.data(), v.size() * sizeof v[0]);
    };
    put(io::images, b.pixels);
    put(io::augment, b.augment);
    put(io::label, b.label);
    put(io::va, b.va);
    put(io::has_va, b.has_va);
    put(io::given, b.given);
    plan.state().valid = setting_.valid;
    plan.state().lr = 1e-3f;
    plan.state().step = step;
    plan.state().mix = setting_.mix;
    plan.run();
    return plan.state();
  }

  Record record;

 private:
  Rig(const Setting& s, std::unique_ptr<Backend> backend, const EngineChoices* choices)
      : setting_(s),
        model_(std::move(backend), network(s), lower(s), Adam{.9f, .999f, 1e-8f, 1e-3f, false},
               choices, s.freezes) {
    math::LossSettings loss;
    loss.classes = kClasses;
    for (int k = 0; k < kClasses; ++k) loss.class_weight[k] = 1 + .3f * static_cast<float>(k);
    const auto labels = label_model();
    model_.bind(external::loss_settings, &loss, sizeof loss);
    model_.bind(external::label_model, &labels, sizeof labels);
    model_.parameters().initialise(11);
    model_.parameters_changed();
  }

  static NetworkSpec network(const Setting& s) {
    NetworkSpec spec;
    spec.image_size = s.image;
    spec.width = s.width;
    spec.classes = kClasses;
    spec.mixup = s.mix != 1;
    return spec;
  }
  static LowerSpec lower(const Setting& s) {
    LowerSpec spec;
    spec.batch = s.batch;
    spec.precision = s.precision;
    spec.deterministic = s.deterministic;
    return spec;
  }

  Setting setting_;
  Model model_;
};

/// |a - b| over |b|: the largest element, or the root mean square.
inline double difference(const std::vector<float>& a, const std::vector<float>& b, bool rms) {
  EXPECT_EQ(a.size(), b.size());
  double top = 0, scale = 1e-30, squares = 0, all = 1e-30;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    top = std::isnan(d) ? HUGE_VAL : std::max(top, d);
    scale = std::max(scale, std::abs(double{b[i]}));
    squares += d * d;
    all += double{b[i]} * double{b[i]};
  }
  return rms ? std::sqrt(squares / all) : top / scale;
}

inline void compare_records(const Rig& gpu, const Rig& cpu, double tolerance, bool rms,
                            std::size_t at_least) {
  std::size_t compared = 0;
  double worst = 0;
  for (const auto& [name, want] : cpu.record) {
    // A transient gradient's buffer, and what either side alone keeps, have no counterpart.
    const auto it = gpu.record.find(name);
    if (it == gpu.record.end() || it->second.size() != want.size() || name.starts_with("d "))
      continue;
    const double d = difference(it->second, want, rms);
    EXPECT_LT(d, tolerance) << name;
    worst = std::max(worst, d);
    ++compared;
  }
  EXPECT_GE(compared, at_least);
  std::printf("%zu activations and statistics within %.1e\n", compared, worst);
}

inline double compare_parameters(Rig& gpu, Rig& cpu, const char* buffer, double tolerance,
                                 bool rms) {
  double worst = 0;
  const Graph& graph = cpu.model().graph();
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
    const Param& p = graph.param_at(id);
    if (!p.trainable() && buffer == std::string(external::gradients)) continue;
    const double d = difference(gpu.model().parameters().get(buffer, id),
                                cpu.model().parameters().get(buffer, id), rms);
    EXPECT_LT(d, tolerance) << buffer << " of " << p.name;
    worst = std::max(worst, d);
  }
  return worst;
}

inline void copy_parameters(Rig& from, Rig& to) {
  const Parameters& source = from.model().parameters();
  for (ParamId id = 0; id < static_cast<ParamId>(source.graph().params().size()); ++id)
    for (const char* buffer : {external::weights, external::moment1, external::moment2})
      if (buffer == external::weights || source.graph().param_at(id).trainable())
        to.model().parameters().set(buffer, id, source.get(buffer, id));
  to.model().parameters_changed();
}

/// A training step in a precision that rounds, against the CPU's in fp32. Both sides round at
/// other places: gradients are compared as wholes, and only roughly; what matters is that each
/// kernel's instance stands where it belongs. `bits`: how many times coarser than fp16.
inline void expect_training_like_fp32(Precision precision, double bits, float mix = 1) {
  Setting s{64, .25, 6, 6, Precision::fp32};
  s.mix = mix;
  Rig cpu(make_cpu_backend(2), s);
  s.precision = precision;
  Rig gpu(make_backend_under_test(), s);
  const Batch batch = make_batch(s, 6);
  const StepState want = cpu.run(Mode::train, batch), got = gpu.run(Mode::train, batch);
  EXPECT_NEAR(got.loss, want.loss, 5e-3 * bits * want.loss);
  compare_records(gpu, cpu, 1e-2 * bits, true, 40);
  const double gradients =
      compare_parameters(gpu, cpu, external::gradients, bits > 1 ? .8 : .35, true);
  std::printf("%s: every gradient within %.2f of fp32's, root mean square\n",
              name_of(precision).c_str(), gradients);
}

}  // namespace program
}  // namespace affuse
