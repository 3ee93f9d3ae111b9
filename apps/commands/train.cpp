// `affuse train`: new runs, resumed runs, dry runs.
#include "apps/commands/train.h"

#include <cstdio>
#include <filesystem>
#include <mutex>

#include <fmt/format.h>

#include "apps/commands/labels.h"
#include "apps/config/load.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "apps/trainer/dry_run.h"
#include "apps/trainer/setup.h"
#include "apps/trainer/trainer.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

std::string run_name(const Config& config, const TrainOptions& options) {
  if (!config.output.name.empty()) return config.output.name;
  return fs::path(options.config).stem().string();
}

// The configuration to go on with, checked against the one that the run began with.
Config resumed_config(const TrainOptions& options, const RunFolder& folder) {
  const std::string own = folder.file("config.json");
  const Config old = load_config(own);
  Config next = load_config(options.config.empty() ? own : options.config, options.overrides);
  next = continue_config(old, next);
  const std::vector<std::string> refused = compare_for_resume(old, next);
  if (!refused.empty())
    throw ConfigError(fmt::format(
        "{}: cannot be resumed with another configuration: {}{}", folder.path(), refused.front(),
        refused.size() > 1 ? fmt::format(" (and {} more)", refused.size() - 1) : std::string()));
  return next;
}

// A bar for each thing that is done with the data, fed by the threads that do it.
class DataBars {
 public:
  void update(const char* what, std::size_t done, std::size_t total) {
    const std::scoped_lock lock(mutex_);
    if (current_ != what) {
      bar_ = std::make_unique<Progress>(what, static_cast<std::int64_t>(total));
      current_ = what;
    }
    bar_->update(static_cast<std::int64_t>(done));
    if (done == total) bar_->finish();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Progress> bar_;
  std::string current_;
};

struct Prepared {
  std::unique_ptr<Backend> backend;
  TrainInputs inputs;
  std::string labels_json;
};

Prepared prepare(const Config& config, const std::string& scan_file) {
  Prepared out;
  out.backend = open_backend(config);  // before the data, whose scan may take long
  Splits splits = [&] {
    DataBars bars;
    return open_splits(config, scan_file, [&](const char* what, std::size_t done, std::size_t all) {
      bars.update(what, done, all);
    });
  }();
  out.inputs.config = config;
  out.inputs.train = std::move(splits.train);
  out.inputs.val = std::move(splits.val);
  const std::vector<std::string>& classes = out.inputs.train.manifest.classes;
  out.inputs.labels = prepare_labels(config, out.inputs.train.manifest);
  out.labels_json = affuse::labels_json(out.inputs.labels.model, classes, out.inputs.labels.alpha);
  out.inputs.card.classes = classes;
  out.inputs.card.network = network_spec(config, static_cast<int>(classes.size()));
  out.inputs.card.label_model = out.labels_json;
  const LabelKind kind = out.inputs.labels.model.options.kind;
  log_info(fmt::format("data: {} training, {} validation faces, {} classes; labels: {}{}",
                       out.inputs.train.manifest.samples.size(),
                       out.inputs.val.manifest.samples.size(), classes.size(), name_of(kind),
                       kind == LabelKind::onehot
                           ? std::string()
                           : fmt::format(", alpha {}", out.inputs.labels.alpha)));
  return out;
}

void write_beginning(const RunFolder& folder, const Prepared& prepared, const DeviceInfo& device) {
  const Config& config = prepared.inputs.config;
  write_file_atomic(folder.file("config.json"),
                    std::string_view(print_config(config, versions(device))));
  write_file_atomic(folder.file("labels.json"), std::string_view(prepared.labels_json));
  std::vector<BadImage> bad = prepared.inputs.train.bad;
  bad.insert(bad.end(), prepared.inputs.val.bad.begin(), prepared.inputs.val.bad.end());
  write_skipped(folder.file("skipped.csv"), bad);
}

// Shows a bar an epoch, and a line with the measures behind each.
TrainEvents show_training(std::unique_ptr<Progress>& bar, const Config& config) {
  TrainEvents events;
  events.batch = [&bar, epochs = config.train.epochs](int epoch, std::int64_t done,
                                                      std::int64_t total, double loss) {
    if (bar == nullptr)
      bar = std::make_unique<Progress>(fmt::format("epoch {}/{}", epoch, epochs), total);
    bar->update(done, fmt::format("loss {:.4f}", loss));
  };
  events.epoch = [&bar](const std::string& line) {
    bar.reset();
    log_info(line);
  };
  events.interrupted = caught_signal;
  return events;
}

int train(Prepared prepared, RunFolder& folder, const CheckpointInfo* resumed,
          const Checkpoint* checkpoint) {
  const Config config = prepared.inputs.config;
  const std::vector<std::string> classes = prepared.inputs.card.classes;
  const auto model =
      build_training_model(std::move(prepared.backend), config, static_cast<int>(classes.size()),
                           resumed != nullptr ? &resumed->choices : nullptr);
  if (checkpoint != nullptr)
    restore(*model, *checkpoint, folder.file("checkpoints/last.safetensors"));
  write_beginning(folder, prepared, model->backend().info());
  const TrainingState state = resumed != nullptr ? resumed->state : TrainingState{};
  folder.write_status("running", state.epoch, "");
  Trainer trainer(std::move(prepared.inputs), *model, folder, state);
  std::unique_ptr<Progress> bar;
  try {
    catch_signals();
    const TrainOutcome outcome = trainer.run(show_training(bar, config));
    bar.reset();
    folder.write_status(outcome.state, trainer.state().epoch, outcome.reason);
    log_info(fmt::format("{}: {}; run folder {}", outcome.state, outcome.reason, folder.path()));
    if (outcome.signal != 0) return 128 + outcome.signal;
    if (outcome.measures) write_out(to_text(*outcome.measures, classes));
    return 0;
  } catch (const std::exception& e) {
    bar.reset();
    folder.write_status("failed", trainer.state().epoch, e.what());
    throw;
  }
}

int resume(const TrainOptions& options) {
  RunFolder folder = RunFolder::open(options.resume);
  const Config config = resumed_config(options, folder);
  if (options.print_config) return write_out(print_config(config)), 0;
  const int epochs = load_config(folder.file("config.json")).train.epochs;
  if (folder.state() == "done" && epochs == config.train.epochs) {
    log_info(fmt::format(
        "{}: this run is finished (train.epochs {}); train.epochs=N with a larger N goes on",
        folder.path(), epochs));
    return 0;
  }
  const LogFile log(folder.file("run.log"));
  const std::string last = folder.file("checkpoints/last.safetensors");
  const std::string prev = folder.file("checkpoints/prev.safetensors");
  if (!fs::exists(last) && !fs::exists(prev)) {
    log_info(folder.path() + ": no checkpoint yet; starting from the beginning");
    return train(prepare(config, folder.file("scan.csv")), folder, nullptr, nullptr);
  }
  const Checkpoint checkpoint = read_checkpoint(last, prev);
  const CheckpointInfo info = read_checkpoint_info(checkpoint, last);
  log_info(fmt::format("resuming {} after {} epochs and {} batches", folder.path(),
                       info.state.epoch, info.state.batch));
  return train(prepare(config, folder.file("scan.csv")), folder, &info, &checkpoint);
}

}  // namespace

int run_train(const TrainOptions& options) {
  if (!options.resume.empty()) return resume(options);
  const Config config = load_config(options.config, options.overrides);
  if (options.print_config) return write_out(print_config(config)), 0;
  if (options.dry_run) {
    Prepared prepared = prepare(config, "");
    return write_out(dry_run(std::move(prepared.backend), std::move(prepared.inputs))), 0;
  }
  const std::string path = options.out.empty()
                               ? RunFolder::next_path(config.output.dir, run_name(config, options))
                               : options.out;
  RunFolder folder = RunFolder::create(path, options.overwrite);
  const LogFile log(folder.file("run.log"));
  return train(prepare(config, folder.file("scan.csv")), folder, nullptr, nullptr);
}

}  // namespace affuse
