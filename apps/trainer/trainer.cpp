#include "apps/trainer/trainer.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/trainer/trainer_epoch.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Manifest with_labels(Manifest manifest, const std::vector<int>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) manifest.samples[i].label = labels[i];
  return manifest;
}

// Ready soft labels as a table for the loader, where the label model takes them.
std::vector<float> given_targets(const Config& config, const Manifest& manifest) {
  if (config.label_model.kind != Config::LabelModel::Kind::given) return {};
  const std::size_t k = manifest.classes.size();
  std::vector<float> table(manifest.samples.size() * k, 0.f);
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    std::copy(manifest.samples[i].soft.begin(), manifest.samples[i].soft.end(),
              table.begin() + static_cast<std::ptrdiff_t>(i * k));
  return table;
}

Share share_of(const RankGroup& ranks) {
  return {static_cast<std::size_t>(ranks.rank()), static_cast<std::size_t>(ranks.size())};
}

std::int64_t steps_of(const Config& config, const Loader& loader) {
  const auto all = static_cast<std::int64_t>(loader.batches());
  const std::int64_t limit = config.train.limit_batches;
  return limit > 0 ? std::min(limit, all) : all;
}

}  // namespace

Trainer::Trainer(TrainInputs inputs, Model& model, RunFolder& folder, const TrainingState& state)
    : in_(std::move(inputs)),
      noisy_train_(with_labels(in_.train.manifest, in_.labels.noisy)),
      model_(model),
      folder_(folder),
      state_(state),
      train_loader_(noisy_train_, loader_options(in_.config, in_.train, true, share_of(*in_.ranks)),
                    given_targets(in_.config, noisy_train_)),
      val_loader_(in_.val.manifest,
                  loader_options(in_.config, in_.val, false, share_of(*in_.ranks)),
                  given_targets(in_.config, in_.val.manifest)),
      steps_per_epoch_(steps_of(in_.config, train_loader_)),
      schedule_(in_.config, steps_per_epoch_),
      scaled_(in_.config.train.precision == Config::Train::Precision::fp16),
      config_text_(print_config(in_.config)) {
  state_.ranks = in_.ranks->size();
  check_warmup(in_.config, steps_per_epoch_);
  model_.bind(external::label_model, &in_.labels.target, sizeof in_.labels.target);
  model_.bind(external::loss_settings, &in_.labels.loss, sizeof in_.labels.loss);
}

TrainOutcome Trainer::run(const TrainEvents& events) {
  open_logs();
  while (state_.epoch < in_.config.train.epochs && !out_of_patience()) {
    if (const auto stop = train_epoch(events)) {
      write_checkpoint_file();
      return *stop;
    }
    end_epoch(events);
    if (const auto stop = must_stop(events)) return *stop;
  }
  const std::string reason =
      out_of_patience() ? fmt::format("no gain since epoch {} (train.patience)", state_.best_epoch)
                        : fmt::format("{} epochs", state_.epoch);
  return {"done", reason, 0, finish()};
}

// A signal or the time limit, on any rank; asked after every step and every epoch.
std::optional<TrainOutcome> Trainer::must_stop(const TrainEvents& events) const {
  double asked[] = {static_cast<double>(events.interrupted ? events.interrupted() : 0),
                    out_of_time() ? 1.0 : 0.0};
  in_.ranks->max(asked, std::size(asked));
  const int signal = static_cast<int>(asked[0]);
  if (signal == 0 && asked[1] == 0) return {};
  const std::string what =
      signal != 0 ? fmt::format("signal {}", signal) : std::string("train.max_hours is over");
  return TrainOutcome{"stopped", fmt::format("{} after {} steps", what, state_.step), signal,
                      std::nullopt};
}

// Returns what stops the epoch before its end.
std::optional<TrainOutcome> Trainer::train_epoch(const TrainEvents& events) {
  const auto begin = Clock::now();
  auto last_log = begin;
  epoch_images_ = 0;
  std::int64_t images_at_log = 0;
  const auto total = static_cast<std::int64_t>(noisy_train_.samples.size());
  train_loader_.start_epoch(static_cast<std::uint32_t>(state_.epoch),
                            static_cast<std::size_t>(state_.batch));
  Batch batch, next;
  bool more = state_.batch < steps_per_epoch_ && train_loader_.next(batch);
  if (more) upload_inputs(model_.plan(Mode::train), batch);
  while (more) {
    more = train_step(batch, next);
    epoch_images_ += static_cast<std::int64_t>(batch.all);
    if (state_.step % in_.config.train.log_every == 0) {
      const double span = std::max(1e-9, seconds_since(last_log));
      log_step(static_cast<double>(epoch_images_ - images_at_log) / span);
      last_log = Clock::now();
      images_at_log = epoch_images_;
    }
    if (events.batch)
      events.batch(
          state_.epoch + 1, state_.epoch_samples, total,
          state_.epoch_loss / static_cast<double>(std::max<std::int64_t>(1, state_.epoch_samples)));
    if (auto stop = must_stop(events)) return stop;
    std::swap(batch, next);
  }
  epoch_seconds_ = seconds_since(begin);
  return {};
}

// Trains on `batch`, which is uploaded already, and meanwhile fetches and uploads the next; false
// where there is none.
bool Trainer::train_step(const Batch& batch, Batch& next) {
  Plan& plan = model_.plan(Mode::train);
  StepState& s = plan.state();
  // A share without samples computes with a blank one that does not count.
  s.valid = std::max(static_cast<std::int32_t>(batch.valid), 1);
  s.loss_scale = scaled_ ? state_.loss_scale.value : 1;
  s.share = static_cast<float>(static_cast<double>(batch.valid) / static_cast<double>(batch.all));
  s.lr = static_cast<float>(schedule_.rate(state_.step));
  s.step = state_.step + 1 - state_.skipped;  // Adam counts the updates that were made
  s.epoch = state_.epoch;
  plan.start();
  const bool more = state_.batch + 1 < steps_per_epoch_ && train_loader_.next(next);
  if (more) upload_inputs(plan, next);
  plan.finish();
  check_loss(batch);
  ++state_.step;
  ++state_.batch;
  return more;
}

// fp16's scaled gradients overflow now and then: the step is left out and the scale halves.
bool Trainer::adapt_loss_scale() {
  const StepState& s = model_.plan(Mode::train).state();
  if (!scaled_) return false;
  const bool overflow = s.found_inf != 0 && std::isfinite(s.loss);
  if (s.found_inf == 0 || overflow) state_.loss_scale.update(overflow);
  if (overflow) ++state_.skipped;
  return overflow;
}

// Adds a finite loss to the epoch's; one that is not stops the run or is counted.
void Trainer::check_loss(const Batch& batch) {
  const StepState& s = model_.plan(Mode::train).state();
  if (adapt_loss_scale() || s.found_inf == 0) {
    state_.epoch_loss += s.loss * static_cast<double>(batch.all);
    state_.epoch_samples += static_cast<std::int64_t>(batch.all);
    return;
  }
  if (in_.config.train.on_nonfinite == Config::Train::OnNonfinite::skip) {
    ++state_.skipped;
    log_warning(fmt::format("step {}: the loss is not finite; skipped ({} so far)", state_.step + 1,
                            state_.skipped));
    return;
  }
  std::string files;
  for (std::size_t row = 0; row < std::min<std::size_t>(batch.valid, 3); ++row)
    files += (row > 0 ? ", " : "") + noisy_train_.samples[batch.indices[row]].path;
  const std::string last = "checkpoints/last.safetensors";
  throw Error(fmt::format(
      "step {}: the loss is not finite (batch of {}{}{}{}); {}; a lower optimizer.lr may help, "
      "train.on_nonfinite=skip goes on",
      state_.step + 1, batch.all, files.empty() ? "" : " with ", files,
      batch.valid > 3 ? ", ..." : "",
      folder_.has(last) ? "the last good checkpoint is " + folder_.file(last)
                        : "there is no checkpoint yet"));
}

void Trainer::end_epoch(const TrainEvents& events) {
  const Config& c = in_.config;
  EpochRow row;
  row.train_loss =
      state_.epoch_loss / static_cast<double>(std::max<std::int64_t>(1, state_.epoch_samples));
  row.lr = schedule_.rate(std::max<std::int64_t>(0, state_.step - 1));
  row.seconds = epoch_seconds_;
  row.images_per_s = static_cast<double>(epoch_images_) / std::max(1e-9, epoch_seconds_);
  ++state_.epoch;
  row.epoch = state_.epoch;
  state_.batch = 0;
  state_.epoch_loss = 0;
  state_.epoch_samples = 0;
  if (c.swa.enabled && state_.epoch >= c.swa.start_epoch.value_or(1)) update_average();
  if (state_.epoch % c.train.val_every == 0 || state_.epoch == c.train.epochs) {
    if (in_.ranks->first()) validate(row);
    share_best();
  }
  log_epoch(row);
  if (c.output.keep > 0 && state_.epoch % c.output.keep == 0)
    write_model(fmt::format("epoch_{:03}", state_.epoch), WeightSet::current);
  write_checkpoint_file();
  if (!events.epoch) return;
  std::string line =
      fmt::format("epoch {}/{}: train loss {:.4f}", row.epoch, c.train.epochs, row.train_loss);
  if (row.val_loss) line += fmt::format(", val loss {:.4f}", *row.val_loss);
  if (row.measures && row.measures->classification)
    line +=
        fmt::format(", accuracy {:.3f}, macro-F1 {:.3f}", row.measures->classification->accuracy,
                    row.measures->classification->macro_f1);
  if (row.measures && row.measures->valence)
    line += fmt::format(", RMSE v {:.3f} a {:.3f}", row.measures->valence->rmse,
                        row.measures->arousal->rmse);
  events.epoch(line + fmt::format(", {:.0f} images/s", row.images_per_s));
}

// One more model in the average, then its batch-norm statistics from one pass over the training
// set as a cumulative average over its batches (torch.optim.swa_utils.update_bn).
void Trainer::update_average() {
  Plan& average = model_.plan(Mode::average);
  average.state().averaged = static_cast<std::int32_t>(state_.averaged);
  average.run();
  ++state_.averaged;
  if (!in_.ranks->first()) return;  // nobody reads the others' statistics
  Plan& statistics = model_.plan(Mode::statistics);
  statistics.use(WeightSet::average);
  train_loader_.start_epoch(static_cast<std::uint32_t>(state_.epoch - 1));
  Batch batch;
  for (std::int64_t i = 0; i < steps_per_epoch_ && train_loader_.next(batch); ++i) {
    upload_batch(statistics, batch);
    statistics.state().bn_momentum = 1.f / static_cast<float>(i + 1);
    statistics.run();
  }
}

void Trainer::validate(EpochRow& row) {
  const MeasureOptions options{in_.config.calibration.bins, {}};
  Evaluation current = evaluate(model_, WeightSet::current, val_loader_, in_.val.manifest);
  row.val_loss = current.loss;
  row.measures = compute_measures(current.predictions, options);
  const double score = selection_score(*row.measures, current.loss);
  if (score > state_.best) {
    state_.best = score;
    state_.best_epoch = state_.epoch;
    write_model("best", WeightSet::current);
  }
  if (state_.averaged == 0) return;
  const Evaluation swa = evaluate(model_, WeightSet::average, val_loader_, in_.val.manifest);
  row.val_loss_swa = swa.loss;
  row.measures_swa = compute_measures(swa.predictions, options);
  write_model("swa", WeightSet::average);
}

// The first rank's verdict, which it alone has come to. The others wait here while it validates.
void Trainer::share_best() {
  in_.ranks->broadcast(&state_.best, sizeof state_.best);
  in_.ranks->broadcast(&state_.best_epoch, sizeof state_.best_epoch);
}

bool Trainer::out_of_patience() const {
  const Config::Train& t = in_.config.train;
  return t.patience > 0 && state_.best_epoch > 0 &&
         state_.epoch - state_.best_epoch >= t.patience * t.val_every;
}

bool Trainer::out_of_time() const {
  return in_.config.train.max_hours > 0 &&
         seconds_since(started_) > in_.config.train.max_hours * 3600;
}

double selection_score(const Measures& measures, double val_loss) {
  return measures.classification ? measures.classification->macro_f1 : -val_loss;
}

}  // namespace affuse
