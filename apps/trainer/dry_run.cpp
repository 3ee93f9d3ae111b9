#include "apps/trainer/dry_run.h"

#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/trainer/setup.h"
#include "engine/error.h"

namespace affuse {
namespace {

constexpr int kSteps = 2;

double mebibytes(double bytes) { return bytes / 1048576.0; }

// Weights, both moments and, with SWA, the average; twice, since the previous one is kept.
double disk_bytes(const Model& model, const Config& config) {
  const auto weights = static_cast<double>(model.parameters().bytes(external::weights));
  const double checkpoint = weights * (config.swa.enabled ? 4 : 3);
  return 2 * checkpoint + weights * (config.swa.enabled ? 2 : 1);
}

double parameter_bytes(const Model& model) {
  double total = 0;
  for (const std::string& name : model.parameters().buffer_names())
    total += static_cast<double>(model.parameters().bytes(name));
  return total;
}

}  // namespace

std::string dry_run(std::unique_ptr<Backend> backend, TrainInputs inputs) {
  const Config& config = inputs.config;
  const auto model =
      build_training_model(std::move(backend), config, inputs.card.network.classes, nullptr);
  model->bind(external::label_model, &inputs.labels.target, sizeof inputs.labels.target);
  model->bind(external::loss_settings, &inputs.labels.loss, sizeof inputs.labels.loss);
  Loader loader(inputs.train.manifest, loader_options(config, inputs.train, true));
  check_warmup(config, static_cast<std::int64_t>(loader.batches()));

  std::string report;
  auto out = std::back_inserter(report);
  fmt::format_to(out, "data        {} training and {} validation faces, {} classes\n",
                 inputs.train.manifest.samples.size(), inputs.val.manifest.samples.size(),
                 inputs.card.classes.size());
  Plan& plan = model->plan(Mode::train);
  Batch batch;
  loader.start_epoch(0);
  for (int i = 0; i < kSteps; ++i) {
    if (!loader.next(batch)) loader.start_epoch(1), loader.next(batch);
    upload_batch(plan, batch);
    plan.state().lr = static_cast<float>(config.optimizer.lr);
    plan.state().step = i + 1;
    const auto begin = std::chrono::steady_clock::now();
    plan.run();
    const std::chrono::duration<double> span = std::chrono::steady_clock::now() - begin;
    const StepState& s = plan.state();
    if (s.found_inf != 0) throw Error(fmt::format("step {}: the loss is not finite", i + 1));
    fmt::format_to(out,
                   "step {}      loss {:.4f} (ce {:.4f}, cs {:.4f}, l2 {:.4f}), {:.2f} s, {:.1f} "
                   "images/s\n",
                   i + 1, s.loss, s.loss_ce, s.loss_cs, s.loss_l2, span.count(),
                   static_cast<double>(batch.valid) / span.count());
  }
  Plan& eval = model->plan(Mode::eval);
  eval.use(WeightSet::current);
  upload_batch(eval, batch);
  eval.run();
  fmt::format_to(out, "evaluation  loss {:.4f} on the same batch\n", eval.state().loss);
  fmt::format_to(out, "memory      {:.0f} MiB activations and scratch, {:.0f} MiB parameters\n",
                 mebibytes(static_cast<double>(model->slab_bytes())),
                 mebibytes(parameter_bytes(*model)));
  fmt::format_to(out, "disk        {:.0f} MiB for checkpoints and weights\n",
                 mebibytes(disk_bytes(*model, config)));
  report += "dry run: nothing was written\n";
  return report;
}

}  // namespace affuse
