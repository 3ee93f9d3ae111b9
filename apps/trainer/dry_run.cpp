#include "apps/trainer/dry_run.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/trainer/disk_estimate.h"
#include "apps/trainer/memory_budget.h"
#include "apps/trainer/setup.h"
#include "data/mixup_draw.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

using Out = std::back_insert_iterator<std::string>;

/// Seconds a batch.
struct Measured {
  double frozen = 0, step = 0, evaluation = 0;
};

std::string bytes_text(std::uint64_t bytes) {
  const double mebi = static_cast<double>(bytes) / 1048576;
  return mebi < 1000 ? fmt::format("{:.0f} MiB", mebi) : fmt::format("{:.1f} GiB", mebi / 1024);
}

/// "under a second", "40 seconds", "12 minutes", "3.5 hours", "2.1 days".
std::string duration_text(double seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 120) return fmt::format("{:.0f} seconds", seconds);
  if (seconds < 2 * 3600) return fmt::format("{:.0f} minutes", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.1f} hours", seconds / 3600);
  return fmt::format("{:.1f} days", seconds / 86400);
}

template <class Work>
double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void data_text(Out out, const TrainInputs& in) {
  const std::vector<std::string>& classes = in.train.manifest.classes;
  fmt::format_to(out, "data        {} training and {} validation faces, {} classes\n",
                 in.train.manifest.samples.size(), in.val.manifest.samples.size(), classes.size());
  std::vector<std::size_t> counts(classes.size());
  for (const Sample& s : in.train.manifest.samples)
    if (s.has_label()) ++counts[static_cast<std::size_t>(s.label)];
  const auto [few, many] = std::minmax_element(counts.begin(), counts.end());
  const auto name = [&](auto at) { return classes[static_cast<std::size_t>(at - counts.begin())]; };
  fmt::format_to(out, "              most {} ({}), fewest {} ({})\n", name(many), *many, name(few),
                 *few);
  if (!in.holdout.empty())
    fmt::format_to(out,
                   "              {} more are held out, {} with a class, for the temperature\n",
                   in.holdout.manifest.samples.size(), in.holdout.with_class());
  if (const std::size_t bad = in.train.bad.size() + in.val.bad.size(); bad > 0)
    fmt::format_to(out, "              {} images cannot be read and are left out\n", bad);
}

void device_text(Out out, const DeviceInfo& device, const LowerSpec& spec) {
  fmt::format_to(out, "device      {} in {} ({})\n", device.name, name_of(spec.precision),
                 device.hardware);
}

void plan_text(Out out, const Config& config, std::int64_t steps, int epochs_done) {
  fmt::format_to(out, "training    {} epochs of {} steps of {} faces, {} steps in all\n",
                 config.train.epochs, steps, config.train.batch_size, steps * config.train.epochs);
  if (epochs_done > 0)
    fmt::format_to(out, "              {} epochs are done, {} to go\n", epochs_done,
                   std::max(0, config.train.epochs - epochs_done));
}

/// Runs the first steps and says what they were; seconds of the last.
double run_steps(Plan& plan, const char* what, Loader& loader, const Config& config, Batch& batch,
                 Out out) {
  double seconds = 0;
  for (int i = 0; i < kDrySteps; ++i) {
    if (!loader.next(batch)) loader.start_epoch(1), loader.next(batch);
    upload_batch(plan, batch);
    plan.state().lr = static_cast<float>(config.optimizer.lr);
    plan.state().step = i + 1;
    plan.state().mix = draw_mixup(config.augment.mixup_in_use(), config.train.seed, 0,
                                  static_cast<std::uint32_t>(i));
    seconds = seconds_of([&] { plan.run(); });
    const StepState& s = plan.state();
    if (s.found_inf != 0) throw Error(fmt::format("{} {}: the loss is not finite", what, i + 1));
    fmt::format_to(out, "{:<12}loss {:.4f} (ce {:.4f}, cs {:.4f}, l2 {:.4f}), {:.2f} s\n",
                   fmt::format("{} {}", what, i + 1), s.loss, s.loss_ce, s.loss_cs, s.loss_l2,
                   seconds);
  }
  return seconds;
}

Measured measure(Model& model, Loader& loader, const Config& config, Out out) {
  Measured measured;
  Batch batch;
  loader.start_epoch(0);
  if (model.has(Mode::heads))
    measured.frozen = run_steps(model.plan(Mode::heads), "heads", loader, config, batch, out);
  measured.step = run_steps(model.plan(Mode::train), "step", loader, config, batch, out);
  Plan& eval = model.plan(Mode::eval);
  eval.use(WeightSet::current);
  upload_batch(eval, batch);
  eval.run();  // the first one prepares
  measured.evaluation = seconds_of([&] { eval.run(); });
  fmt::format_to(out, "evaluation  loss {:.4f} on the same faces, {:.2f} s\n", eval.state().loss,
                 measured.evaluation);
  return measured;
}

// What is left of the training: steps, validation of each set of weights, SWA's statistics.
void time_text(Out out, const TrainInputs& in, const Measured& m, std::int64_t steps, int done) {
  const Config& c = in.config;
  const auto from = static_cast<double>(std::min(done, c.train.epochs));
  const double epochs = c.train.epochs - from;
  const double frozen = std::max(0.0, std::min(c.train.freeze_epochs, c.train.epochs) - from);
  const int swa_start = c.swa.enabled ? c.swa.start_epoch.value_or(1) : c.train.epochs + 1;
  const double averaged = c.train.epochs + 1 - std::max<double>(swa_start, from + 1);
  const double epoch = static_cast<double>(steps) * m.step;
  const double validation = static_cast<double>(batches_of(c, in.val.manifest)) * m.evaluation;
  const double validations = (epochs + averaged) / c.train.val_every + 1;
  const double statistics = averaged * static_cast<double>(steps) * m.evaluation;
  fmt::format_to(out, "time        about {} {}, if nothing else runs\n",
                 duration_text(frozen * static_cast<double>(steps) * m.frozen +
                               (epochs - frozen) * epoch + validations * validation + statistics),
                 done > 0 ? "for the rest of the training" : "for the whole training");
  fmt::format_to(out, "              {} an epoch, {} a validation; {:.0f} images/s\n",
                 duration_text(epoch), duration_text(validation),
                 static_cast<double>(c.train.batch_size) / std::max(1e-9, m.step));
}

std::uint64_t parameter_bytes(const Model& model) {
  std::uint64_t total = 0;
  for (const std::string& name : model.parameters().buffer_names())
    total += model.parameters().bytes(name);
  return total;
}

// Of the whole set: a preview holds a part of it.
std::uint64_t image_bytes(const Config& config, const Manifest& manifest) {
  const auto side = static_cast<std::uint64_t>(config.data.image_size);
  const std::uint64_t bytes = manifest.samples.size() * side * side * 3;
  return bytes <= image_cache_budget() ? bytes : 0;
}

void memory_text(Out out, const TrainInputs& in, Model& model) {
  const std::uint64_t arena = model.slab_bytes(), parameters = parameter_bytes(model);
  const std::uint64_t images =
      image_bytes(in.config, in.train.manifest) + image_bytes(in.config, in.val.manifest);
  const bool host = model.backend().info().name == "cpu";
  const std::uint64_t need = images + (host ? arena + parameters : 0), have = machine_memory();
  fmt::format_to(out, "memory      {} of this machine's {}\n", bytes_text(need), bytes_text(have));
  const char* where = host ? "" : ", on the GPU";
  fmt::format_to(out, "              {} activations and scratch{}\n", bytes_text(arena), where);
  fmt::format_to(out, "              {} weights, gradients and moments{}\n", bytes_text(parameters),
                 where);
  fmt::format_to(out, "              {} decoded images{}\n", bytes_text(images),
                 images > 0 ? "" : " (too many to keep; decoded anew each epoch)");
  if (have > 0 && need > have)
    log_warning(
        fmt::format("this training needs {} of memory, the machine has {}; lower "
                    "train.batch_size or data.image_size",
                    bytes_text(need), bytes_text(have)));
}

// Beside the need of the files in a folder what its disk has left.
void place_text(Out out, const char* what, std::uint64_t need, const std::string& folder) {
  const auto free = free_disk_bytes(folder);
  fmt::format_to(out, "{:<12}{} in {}{}\n", what, bytes_text(need), folder,
                 free ? fmt::format("; {} are free", bytes_text(*free)) : std::string());
  if (free && *free < need)
    log_warning(fmt::format("{}: {} are free, {} are needed; make room or choose another folder",
                            folder, bytes_text(*free), bytes_text(need)));
}

void disk_text(Out out, const TrainInputs& in, const Model& model, const std::string& folder) {
  const DiskNeed need = disk_need(in.config, model.graph(), in.train.manifest, in.val.manifest);
  place_text(out, "disk", need.total(), folder);
  fmt::format_to(out, "              {} checkpoints, {} weights, {} tables\n",
                 bytes_text(need.checkpoints), bytes_text(need.weights), bytes_text(need.tables));
  if (must_draw(in.config))
    place_text(out, "faces", synthetic_disk_bytes(in.config.data.synthetic), in.config.data.root);
}

}  // namespace

std::string dry_run(std::unique_ptr<Backend> backend, TrainInputs inputs, const DryRun& run) {
  const Config& config = inputs.config;
  std::optional<CheckpointInfo> resumed;
  if (run.checkpoint) resumed = read_checkpoint_info(*run.checkpoint, run.last);
  const auto model = build_training_model(std::move(backend), config, inputs.card.network.classes,
                                          resumed ? &resumed->choices : nullptr);
  if (resumed) restore(*model, *run.checkpoint, run.last);
  model->bind(external::label_model, &inputs.labels.target, sizeof inputs.labels.target);
  model->bind(external::loss_settings, &inputs.labels.loss, sizeof inputs.labels.loss);
  const std::int64_t steps = steps_an_epoch(config, inputs.train.manifest);
  check_warmup(config, steps);
  Manifest faces = with_labels(inputs.train.manifest, inputs.labels.noisy);
  if (inputs.train.images != nullptr)
    faces.samples.resize(std::min(faces.samples.size(), inputs.train.images->samples()));
  Loader loader(faces, loader_options(config, inputs.train, true), given_targets(config, faces));

  std::string report;
  const Out out(report);
  const int done = resumed ? resumed->state.epoch : 0;
  data_text(out, inputs);
  device_text(out, model->backend().info(), model->plan(Mode::train).spec());
  plan_text(out, config, steps, done);
  const Measured measured = measure(*model, loader, config, out);
  time_text(out, inputs, measured, steps, done);
  memory_text(out, inputs, *model);
  disk_text(out, inputs, *model, run.folder);
  report += "dry run: nothing was written\n";
  return report;
}

}  // namespace affuse
