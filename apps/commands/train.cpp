// `affuse train`: new runs, resumed runs, dry runs, on one device or as one of several ranks.
#include "apps/commands/train.h"

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "apps/commands/labels.h"
#include "apps/commands/train_ranks.h"
#include "apps/config/load.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "apps/trainer/disk_estimate.h"
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

// Rank 0 draws faces that are missing, then every rank reads.
Splits open_data_of_ranks(const Config& config, const std::string& scan_file, RankGroup& ranks) {
  DataBars bars;
  const DataProgress show = [&](const char* what, std::size_t done, std::size_t all) {
    bars.update(what, done, all);
  };
  if (ranks.first()) draw_if_missing(config, show);
  ranks.barrier();
  return open_splits(config, ranks.first() ? scan_file : std::string(), show);
}

// For a dry run, which writes nothing: faces that are not there yet are drawn into memory.
Splits open_data_to_look_at(const Config& config) {
  if (must_draw(config))
    return preview_synthetic(config, kDrySteps * static_cast<std::size_t>(config.train.batch_size));
  RankGroup alone;
  return open_data_of_ranks(config, "", alone);
}

Prepared prepare(const Config& config, const std::string& scan_file,
                 const std::shared_ptr<RankGroup>& ranks, bool dry = false) {
  check_shares(config, *ranks);
  if (ranks->size() > 1)
    log_info(
        fmt::format("ranks: {} processes, started by {}", ranks->size(), ranks->ranks().launcher));
  Prepared out;
  out.backend = open_backend(config, ranks);  // before the data, whose scan may take long
  Splits splits =
      dry ? open_data_to_look_at(config) : open_data_of_ranks(config, scan_file, *ranks);
  out.inputs.ranks = ranks;
  out.inputs.config = config;
  out.inputs.train = std::move(splits.train);
  out.inputs.val = std::move(splits.val);
  const std::vector<std::string>& classes = out.inputs.train.manifest.classes;
  out.inputs.labels = prepare_labels(config, out.inputs.train.manifest);
  out.inputs.holdout = take_holdout(config, out.inputs.train, out.inputs.labels);
  out.inputs.data = fingerprint(out.inputs.train, out.inputs.val);
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
  check_same_inputs(*ranks, out.inputs, out.labels_json);
  return out;
}

void write_beginning(const RunFolder& folder, const Prepared& prepared, const DeviceInfo& device) {
  if (!prepared.inputs.ranks->first()) return;
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
  return events;
}

// Bytes depend on the device, its libraries and the number of threads.
void warn_of_changes(const std::map<std::string, std::string>& then, const DeviceInfo& device) {
  std::string changes;
  for (const auto& [what, now] : versions(device))
    if (const auto old = then.find(what); old != then.end() && old->second != now)
      changes += fmt::format("{}{}: {} before, {} now", changes.empty() ? "" : "; ", what,
                             old->second, now);
  if (!changes.empty())
    log_warning(changes +
                "; the run goes on, but will not end in the same bytes as an uninterrupted one");
}

int train(Prepared prepared, RunFolder& folder, const CheckpointInfo* resumed,
          const Checkpoint* checkpoint) {
  const Config config = prepared.inputs.config;
  const std::vector<std::string> classes = prepared.inputs.card.classes;
  const auto model = build_training_model(
      std::move(prepared.backend), config, static_cast<int>(classes.size()),
      resumed != nullptr ? &resumed->choices : nullptr, prepared.inputs.ranks->size());
  if (checkpoint != nullptr) {
    restore(*model, *checkpoint, folder.file("checkpoints/last.safetensors"));
    warn_of_changes(resumed->versions, model->backend().info());
  }
  if (prepared.inputs.ranks->first())
    warn_of_a_small_disk(disk_need(config, model->graph(), prepared.inputs.train.manifest,
                                   prepared.inputs.val.manifest),
                         folder.path());
  catch_signals();  // from here on there is something to write a checkpoint of
  prepared.inputs.interrupted = caught_signal;
  const TrainingState state = resumed != nullptr ? resumed->state : TrainingState{};
  std::unique_ptr<Progress> bar;
  TrainOutcome outcome;
  try {
    if (resumed == nullptr && prepared.inputs.ranks->first()) folder.clear();
    folder.write_status("running", state.epoch, "");  // no longer done before there are more epochs
    write_beginning(folder, prepared, model->backend().info());
    Trainer trainer(std::move(prepared.inputs), *model, folder, state);
    outcome = trainer.run(show_training(bar, config));
    bar.reset();
    folder.write_status(outcome.state, trainer.state().epoch, outcome.reason, outcome.temperature);
    log_info(fmt::format("{}: {}; run folder {}", outcome.state, outcome.reason, folder.path()));
  } catch (const FileError& e) {
    bar.reset();
    if (!folder.begun()) throw;  // the folder stays free for another try
    const std::string line = fmt::format("{}; --resume {} then goes on", e.what(), folder.path());
    folder.write_failure(line);
    throw FileError(line);
  } catch (const std::exception& e) {
    bar.reset();
    folder.write_failure(e.what());
    throw;
  }
  if (outcome.signal != 0) return 128 + outcome.signal;
  if (outcome.measures) write_out(to_text(*outcome.measures, classes));
  return 0;
}

void check_ranks(const RunFolder& folder, int then, int now) {
  if (then == now) return;
  const auto processes = [](int n) { return fmt::format("{} process{}", n, n == 1 ? "" : "es"); };
  throw ConfigError(fmt::format(
      "{}: this run was trained by {} and can be resumed only by as many, not by {}; "
      "model.init={} starts a new run from its weights",
      folder.path(), processes(then), processes(now), folder.file("checkpoints/best.safetensors")));
}

void check_origin(const RunFolder& folder, const CheckpointInfo& info, const Config& config) {
  const std::vector<std::string> refused = compare_for_resume(info.config, config);
  if (!refused.empty())
    throw WeightsError(
        fmt::format("{}: was written under another configuration than the run's config.json: {}",
                    folder.file("checkpoints/last.safetensors"), refused.front()));
}

void check_data(const RunFolder& folder, const std::string& then, const std::string& now) {
  if (then == now) return;
  throw DataError(fmt::format(
      "{}: the data set has changed: {} before, {} now; restore it (a scan names unreadable "
      "images above), or start a new run from the weights with model.init={}",
      folder.path(), then, now, folder.file("checkpoints/best.safetensors")));
}

int resume(const TrainOptions& options, const std::shared_ptr<RankGroup>& ranks) {
  RunFolder folder =
      ranks->first() ? RunFolder::open(options.resume) : RunFolder::view(options.resume);
  const OthersEnd others(folder);
  const Config config = resumed_config(options, folder);
  const int epochs = load_config(folder.file("config.json")).train.epochs;
  const bool done = folder.state() == "done" && epochs == config.train.epochs;
  const std::string last = folder.file("checkpoints/last.safetensors");
  const std::string prev = folder.file("checkpoints/prev.safetensors");
  ranks->barrier();  // every rank has read what the first will write anew
  if (done) {
    log_info(fmt::format(
        "{}: this run is finished (train.epochs {}); train.epochs=N with a larger N goes on",
        folder.path(), epochs));
    return 0;
  }
  const RunLog log(folder, *ranks);
  if (!fs::exists(last) && !fs::exists(prev)) {
    log_info(folder.path() + ": no checkpoint yet; starting from the beginning");
    return train(prepare(config, folder.file("scan.csv"), ranks), folder, nullptr, nullptr);
  }
  const Checkpoint checkpoint = read_checkpoint(last, prev);
  const CheckpointInfo info = read_checkpoint_info(checkpoint, last);
  check_ranks(folder, info.state.ranks, ranks->size());
  check_origin(folder, info, config);
  check_same(*ranks, "checkpoint", fmt::format("{} after step {}", last, info.state.step));
  log_info(fmt::format("resuming {} after {} epochs and {} batches", folder.path(),
                       info.state.epoch, info.state.batch));
  Prepared prepared = prepare(config, folder.file("scan.csv"), ranks);
  check_data(folder, info.state.data, prepared.inputs.data);
  return train(std::move(prepared), folder, &info, &checkpoint);
}

int begin(const Config& config, const TrainOptions& options,
          const std::shared_ptr<RankGroup>& ranks) {
  const auto create = [&] {
    return options.out.empty()
               ? RunFolder::create_next(config.output.dir, run_name(config, options))
               : RunFolder::create(options.out, options.overwrite);
  };
  std::optional<RunFolder> own;
  if (ranks->first()) own.emplace(create());
  const std::string path = ranks->broadcast(own ? own->path() : std::string());
  RunFolder folder = own ? std::move(*own) : RunFolder::view(path);
  const OthersEnd others(folder);
  const RunLog log(folder, *ranks);
  return train(prepare(config, folder.file("scan.csv"), ranks), folder, nullptr, nullptr);
}

// All that begin() or resume() does before the first step, and two steps; nothing is written.
std::string look_ahead(const TrainOptions& options) {
  const bool resumed = !options.resume.empty();
  const Config config = resumed ? resumed_config(options, RunFolder::look_at(options.resume))
                                : load_config(options.config, options.overrides);
  DryRun dry;
  dry.folder = resumed ? options.resume
               : options.out.empty()
                   ? RunFolder::next_path(config.output.dir, run_name(config, options))
                   : options.out;
  RunFolder::check(dry.folder, options.overwrite || resumed);
  if (resumed) {
    const RunFolder folder = RunFolder::look_at(options.resume);
    dry.last = folder.file("checkpoints/last.safetensors");
    const std::string prev = folder.file("checkpoints/prev.safetensors");
    if (fs::exists(dry.last) || fs::exists(prev)) dry.checkpoint = read_checkpoint(dry.last, prev);
  }
  Prepared prepared = prepare(config, "", std::make_shared<RankGroup>(), true);
  return dry_run(std::move(prepared.backend), std::move(prepared.inputs), dry);
}

}  // namespace

int run_train(const TrainOptions& options) {
  if (options.print_config) {
    const Config config = options.resume.empty()
                              ? load_config(options.config, options.overrides)
                              : resumed_config(options, RunFolder::look_at(options.resume));
    return write_out(print_config(config)), 0;
  }
  if (options.dry_run) return write_out(look_ahead(options)), 0;
  Config config;
  if (options.resume.empty()) config = load_config(options.config, options.overrides);
  const std::shared_ptr<RankGroup> ranks = meet_ranks();
  const int status =
      options.resume.empty() ? begin(config, options, ranks) : resume(options, ranks);
  ranks->barrier();  // the first may still write its last files
  ranks->leave();
  return status;
}

}  // namespace affuse
