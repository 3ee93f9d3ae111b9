// Times affuse's training step on a GPU. Says what it is as a line of JSON, then answers each line
// of stdin with one: "round N" (captured steps, the batch resident), "upload N" (a new batch is
// uploaded beside each), "steps N" (every step of the program apart); ends with stdin.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/program_text.h"
#include "engine/error.h"
#include "engine/philox.h"
#include "kernels/described_device.h"
#include "kernels/math/affect.h"
#include "kernels/math/augment.h"
#include "kernels/math/targets.h"
#include "layers/model.h"
#include "tests/bench/resident_backend.h"

namespace affuse::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr int kClasses = 8;

double milliseconds_since(Clock::time_point begun) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

struct Batch {
  std::vector<std::uint8_t> images, has_va;
  std::vector<math::AugmentParams> augment;
  std::vector<std::int32_t> label;
  std::vector<float> va, given;
};

/// Random pixels; half of the samples flipped, all turned and jittered as in training.
Batch make_batch(int n, int size) {
  Philox random(1, Purpose::test);
  Batch b;
  b.images.resize(static_cast<std::size_t>(n) * static_cast<std::size_t>(size * size * 3));
  for (auto& x : b.images) x = static_cast<std::uint8_t>(random.bits());
  for (int i = 0; i < n; ++i) {
    auto& a = b.augment.emplace_back();
    a.flip = i % 2 == 0;
    a.inverse = math::inverse_affine(random.uniform(-15, 15), 0, 0, random.uniform(1, 1.2));
    a.brightness = static_cast<float>(random.uniform(.7, 1.3));
    a.contrast = static_cast<float>(random.uniform(.7, 1.3));
    a.saturation = static_cast<float>(random.uniform(.7, 1.3));
    b.label.push_back(static_cast<std::int32_t>(random.below(kClasses)));
    b.has_va.push_back(1);
    for (int k = 0; k < 2; ++k) b.va.push_back(static_cast<float>(random.uniform(-1, 1)));
  }
  b.given.resize(static_cast<std::size_t>(n) * kClasses);
  return b;
}

math::TargetModel<float> label_model() {
  math::TargetModel<float> m{};
  m.kind = math::TargetKind::gmm;
  m.classes = m.gmm.classes = kClasses;
  m.knows_va = true;
  m.alpha = .5f;
  for (int k = 0; k < kClasses; ++k) {
    const float at = static_cast<float>(k) / kClasses - .5f;
    m.gmm.gaussian[k] = math::make_gaussian(1.f / kClasses, at, -at, .2f, .03f, .3f);
  }
  return m;
}

Precision precision_of(const std::string& name) {
  for (const Precision p : {Precision::fp32, Precision::tf32, Precision::fp16, Precision::bf16})
    if (name_of(p) == name) return p;
  throw ConfigError(name + ": not one of fp32, tf32, fp16, bf16");
}

/// Bytes read and written a second by a large copy on the device.
double copy_rate() {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  constexpr int kTurns = 10;
  const cuda::DeviceMemory from(kBytes), to(kBytes);
  double best = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    const auto begun = Clock::now();
    cuda::check(cudaMemcpy(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice), "copying");
    cuda::check(cudaDeviceSynchronize(), "copying");
    best = std::max(best, 2e3 * kBytes / milliseconds_since(begun));
  }
  return best;
}

/// The described device of the architecture, its memory as fast as a copy here if that is faster;
/// of other GPUs the memory alone.
Ceilings ceilings_of(Precision precision, double copied) {
  cudaDeviceProp p{};
  cuda::check(cudaGetDeviceProperties(&p, 0), "reading the device's properties");
  const DescribedDevice* d = find_described_device("sm" + std::to_string(10 * p.major + p.minor));
  if (d == nullptr) return {copied, 0};
  const double flops = precision == Precision::fp16   ? d->fp16_flops
                       : precision == Precision::bf16 ? d->bf16_flops
                       : precision == Precision::tf32 ? d->tf32_flops
                                                      : d->fp32_flops;
  return {std::max(d->bytes_per_second, copied), flops};
}

std::size_t used_memory() {
  std::size_t left = 0, all = 0;
  cuda::check(cudaMemGetInfo(&left, &all), "asking for free memory");
  return all - left;
}

NetworkSpec network(int size) {
  NetworkSpec spec;
  spec.image_size = size;
  spec.classes = kClasses;
  return spec;
}

LowerSpec lower_spec(Precision precision, int batch) {
  LowerSpec spec;
  spec.batch = batch;
  spec.precision = precision;
  return spec;
}

class Bench {
 public:
  Bench(Precision precision, int batch, int size)
      : precision_(precision),
        copied_(copy_rate()),
        used_before_(used_memory()),
        model_(std::move(backend_), network(size), lower_spec(precision, batch),
               Adam{.9f, .999f, 1e-8f, 0, false}),
        plan_(model_.plan(Mode::train)),
        batch_(make_batch(batch, size)) {
    math::LossSettings loss;
    loss.classes = kClasses;
    std::fill_n(loss.class_weight, kClasses, 1.f);
    const auto labels = label_model();
    model_.bind(external::loss_settings, &loss, sizeof loss);
    model_.bind(external::label_model, &labels, sizeof labels);
    model_.parameters().initialise(1);
    model_.parameters_changed();
    for_inputs([&](const char* name, const void* data, std::size_t bytes) {
      resident_->keep(name, data, bytes);
    });
    plan_.state().valid = batch;
    plan_.state().lr = 1e-4f;
    plan_.state().loss_scale = precision == Precision::fp16 ? 128.f : 1.f;
    for (int i = 0; i < 5; ++i) step();  // loads kernels, captures
  }

  Json about() const {
    const DeviceInfo info = resident_->info();
    const Ceilings ceilings = ceilings_of(precision_, copied_);
    return {{"name", "affuse"},
            {"hardware", info.hardware},
            {"libraries", info.libraries},
            {"precision", name_of(precision_)},
            {"batch", plan_.spec().batch},
            {"allocated_bytes", resident_->allocated()},
            {"device_bytes", used_memory() - used_before_},
            {"copy_bytes_per_second", copied_},
            {"floor_bytes_per_second", ceilings.bytes_per_second},
            {"floor_flops", ceilings.flops},
            {"floor_ms", 1e3 * floor_of(plan_.program(), ceilings)}};
  }

  Json answer(const std::string& line) {
    std::istringstream in(line);
    std::string what;
    int count = 0;
    if (!(in >> what >> count) || count < 1) throw ConfigError("not a question: " + line);
    if (what == "round") return round(count);
    if (what == "upload") return uploading(count);
    if (what == "steps") return apart(count);
    throw ConfigError("not a question: " + line);
  }

 private:
  std::unique_ptr<Backend> make_backend() {
    auto backend = std::make_unique<ResidentBackend>(make_cuda_backend(0));
    resident_ = backend.get();
    return backend;
  }

  template <class F>
  void for_inputs(F f) const {
    const auto give = [&](const char* name, const auto& v) {
      f(name, v.data(), v.size() * sizeof v[0]);
    };
    give(io::images, batch_.images);
    give(io::augment, batch_.augment);
    give(io::label, batch_.label);
    give(io::va, batch_.va);
    give(io::has_va, batch_.has_va);
    give(io::given, batch_.given);
  }

  void step() {
    ++plan_.state().step;
    plan_.run();
    skipped_ += plan_.state().found_inf;
  }

  Json round(int count) {
    double total = 0;
    for (int i = 0; i < count; ++i) {
      step();
      total += resident_->milliseconds();
    }
    return {{"ms", total / count}, {"skipped_updates", skipped_}, {"loss", plan_.state().loss}};
  }

  // As the trainer does: the next batch goes up while a step runs.
  Json uploading(int count) {
    const auto upload = [&] {
      for_inputs([&](const char* name, const void* data, std::size_t bytes) {
        plan_.upload(name, data, bytes);
      });
    };
    resident_->set_restoring(false);
    upload();
    const auto begun = Clock::now();
    for (int i = 0; i < count; ++i) {
      ++plan_.state().step;
      plan_.start();
      upload();
      plan_.finish();
    }
    const double total = milliseconds_since(begun);
    resident_->set_restoring(true);
    return {{"ms", total / count}};
  }

  Json apart(int count) {
    resident_->start_apart();
    for (int i = 0; i < count; ++i) step();
    const auto runs = resident_->stop_apart();
    const Program& program = plan_.program();
    const Ceilings ceilings = ceilings_of(precision_, copied_);
    Json out = Json::array();
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      const Step& s = program.steps[i];
      if (s.once) continue;
      std::vector<float> times;
      for (const auto& run : runs) times.push_back(run[i]);
      std::nth_element(times.begin(), times.begin() + count / 2, times.end());
      out.push_back({{"name", s.name},
                     {"engine", s.engine},
                     {"ms", times[static_cast<std::size_t>(count / 2)]},
                     {"floor_ms", 1e3 * floor_of(program, s, ceilings)},
                     {"bytes", program.bytes(s)},
                     {"flops", s.flops}});
    }
    return {{"steps", out}};
  }

  Precision precision_;
  ResidentBackend* resident_ = nullptr;  // the model's own
  std::unique_ptr<Backend> backend_ = make_backend();
  double copied_;
  std::size_t used_before_;
  Model model_;
  Plan& plan_;
  Batch batch_;
  int skipped_ = 0;
};

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) throw ConfigError("usage: bench_step PRECISION BATCH IMAGE_SIZE");
  Bench bench(precision_of(arguments[0]), std::stoi(arguments[1]), std::stoi(arguments[2]));
  std::cout << bench.about().dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << bench.answer(line).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace affuse::bench

int main(int argc, char** argv) {
  try {
    return affuse::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_step: %s\n", e.what());
    return 1;
  }
}
