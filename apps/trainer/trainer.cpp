#include "apps/trainer/trainer.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/trainer/setup.h"
#include "apps/trainer/trainer_epoch.h"
#include "data/mixup_draw.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LoaderOptions loader_of(const TrainInputs& in, const Split& split, bool training) {
  const Share share = {static_cast<std::size_t>(in.ranks->rank()),
                       static_cast<std::size_t>(in.ranks->size())};
  LoaderOptions options = loader_options(in.config, split, training, share);
  if (in.interrupted) options.interrupted = [ask = in.interrupted] { return ask() != 0; };
  return options;
}

}  // namespace

Trainer::Trainer(TrainInputs inputs, Model& model, RunFolder& folder, const TrainingState& state)
    : in_(std::move(inputs)),
      noisy_train_(with_labels(in_.train.manifest, in_.labels.noisy)),
      model_(model),
      folder_(folder),
      state_(state),
      train_loader_(noisy_train_, loader_of(in_, in_.train, true),
                    given_targets(in_.config, noisy_train_)),
      val_loader_(in_.val.manifest, loader_of(in_, in_.val, false),
                  given_targets(in_.config, in_.val.manifest)),
      steps_per_epoch_(steps_an_epoch(in_.config, noisy_train_)),
      schedule_(in_.config, steps_per_epoch_),
      scaled_(in_.config.train.precision == Config::Train::Precision::fp16),
      config_text_(print_config(in_.config, versions(model.backend().info()))) {
  state_.ranks = in_.ranks->size();
  state_.data = in_.data;
  check_warmup(in_.config, steps_per_epoch_);
  model_.bind(external::label_model, &in_.labels.target, sizeof in_.labels.target);
  model_.bind(external::loss_settings, &in_.labels.loss, sizeof in_.labels.loss);
}

TrainOutcome Trainer::run(const TrainEvents& events) {
  open_logs();
  if (frozen()) {
    const int from = state_.epoch + 1;
    const int to = std::min(in_.config.train.freeze_epochs, in_.config.train.epochs);
    log_info(from < to ? fmt::format("epochs {}-{}: backbone frozen", from, to)
                       : fmt::format("epoch {}: backbone frozen", from));
  }
  while (state_.epoch < in_.config.train.epochs && !out_of_patience()) {
    auto stop = train_epoch(events);
    if (!stop) stop = end_epoch(events);
    if (stop) {
      write_checkpoint_file();
      return *stop;
    }
    if (stop = must_stop(out_of_time()); stop) return *stop;
  }
  const std::string reason =
      out_of_patience() ? fmt::format("no gain since epoch {} (train.patience)", state_.best_epoch)
                        : fmt::format("{} epochs", state_.epoch);
  TrainOutcome done{"done", reason, 0, std::nullopt, std::nullopt};
  finish(done);
  if (const auto stop = must_stop(false)) return *stop;
  return done;
}

// A signal or the time limit, on any rank; all ranks ask after every step and every pass.
std::optional<TrainOutcome> Trainer::must_stop(bool time_is_over) const {
  double asked[] = {static_cast<double>(signal()), time_is_over ? 1.0 : 0.0};
  in_.ranks->max(asked, std::size(asked));
  const int signal = static_cast<int>(asked[0]);
  if (signal == 0 && asked[1] == 0) return {};
  const std::string what =
      signal != 0 ? fmt::format("signal {}", signal) : std::string("train.max_hours is over");
  return TrainOutcome{"stopped", fmt::format("{} after {} steps", what, state_.step), signal,
                      std::nullopt, std::nullopt};
}

bool Trainer::frozen() const { return state_.epoch < in_.config.train.freeze_epochs; }

Plan& Trainer::step_plan() { return model_.plan(frozen() ? Mode::heads : Mode::train); }

// Behind the frozen epochs Adam begins anew for the whole network: the backbone's moments are 0 and
// need the bias correction of a first step.
void Trainer::begin_phase() {
  // What it made of the weights lies where validation has computed since.
  if (frozen()) step_plan().use(WeightSet::current);
  const int epochs = in_.config.train.freeze_epochs;
  if (epochs == 0 || state_.epoch != epochs || state_.batch > 0) return;
  model_.parameters().clear(external::moment1);
  model_.parameters().clear(external::moment2);
  state_.frozen_updates = state_.step - state_.skipped;
  log_info(fmt::format("epoch {}: backbone trains", epochs + 1));
}

// Returns what stops the epoch before its end.
std::optional<TrainOutcome> Trainer::train_epoch(const TrainEvents& events) {
  const auto begin = Clock::now();
  auto last_log = begin;
  epoch_images_ = 0;
  std::int64_t images_at_log = 0;
  const auto total = static_cast<std::int64_t>(noisy_train_.samples.size());
  begin_phase();
  train_loader_.start_epoch(static_cast<std::uint32_t>(state_.epoch),
                            static_cast<std::size_t>(state_.batch));
  Batch batch, next;
  bool more = state_.batch < steps_per_epoch_ && train_loader_.next(batch);
  if (auto stop = must_stop(false)) return stop;
  if (more) upload_inputs(step_plan(), batch);
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
    if (auto stop = must_stop(out_of_time())) return stop;
    std::swap(batch, next);
  }
  epoch_seconds_ = seconds_since(begin);
  return {};
}

// Trains on `batch`, which is uploaded already, and meanwhile fetches and uploads the next; false
// where there is none.
bool Trainer::train_step(const Batch& batch, Batch& next) {
  Plan& plan = step_plan();
  StepState& s = plan.state();
  // A share without samples computes with a blank one that does not count.
  s.valid = std::max(static_cast<std::int32_t>(batch.valid), 1);
  s.loss_scale = scaled_ ? state_.loss_scale.value : 1;
  s.share = static_cast<float>(static_cast<double>(batch.valid) / static_cast<double>(batch.all));
  s.lr = static_cast<float>(schedule_.rate(state_.step));
  // Adam counts the updates that were made since it began.
  s.step = state_.step + 1 - state_.skipped - state_.frozen_updates;
  s.epoch = state_.epoch;
  s.mix = draw_mixup(in_.config.augment.mixup_in_use(), in_.config.train.seed,
                     static_cast<std::uint32_t>(state_.epoch),
                     static_cast<std::uint32_t>(state_.batch));
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
  const StepState& s = step_plan().state();
  if (!scaled_) return false;
  const bool overflow = s.found_inf != 0 && std::isfinite(s.loss);
  if (s.found_inf == 0 || overflow) state_.loss_scale.update(overflow);
  if (overflow) ++state_.skipped;
  return overflow;
}

// Adds a finite loss to the epoch's; one that is not stops the run or is counted.
void Trainer::check_loss(const Batch& batch) {
  const StepState& s = step_plan().state();
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

// Returns what stops it while it passes over the data. The epoch then counts as not ended, and a
// resumed run ends it again.
std::optional<TrainOutcome> Trainer::end_epoch(const TrainEvents& events) {
  const Config& c = in_.config;
  EpochRow row;
  row.train_loss =
      state_.epoch_loss / static_cast<double>(std::max<std::int64_t>(1, state_.epoch_samples));
  row.lr = schedule_.rate(std::max<std::int64_t>(0, state_.step - 1));
  row.seconds = epoch_seconds_;
  row.images_per_s = static_cast<double>(epoch_images_) / std::max(1e-9, epoch_seconds_);
  row.epoch = state_.epoch + 1;
  const int averaged = c.swa.enabled ? row.epoch - c.swa.start_epoch.value_or(1) + 1 : 0;
  if (averaged > 0) update_average(averaged);
  if (row.epoch % c.train.val_every == 0 || row.epoch == c.train.epochs) validate(row);
  if (auto stop = must_stop(false)) return stop;
  state_.epoch = row.epoch;
  state_.batch = 0;
  state_.epoch_loss = 0;
  state_.epoch_samples = 0;
  keep_best(row);
  log_epoch(row);
  if (c.output.keep > 0 && state_.epoch % c.output.keep == 0)
    write_model(fmt::format("epoch_{:03}", state_.epoch), WeightSet::current);
  write_checkpoint_file();
  if (!events.epoch) return {};
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
  return {};
}

// The average of `due` models, of which the last may be in it already (an interrupted run), then
// its batch-norm statistics from one pass over the training set as a cumulative average over its
// batches (torch.optim.swa_utils.update_bn).
void Trainer::update_average(std::int64_t due) {
  if (state_.averaged < due) {
    Plan& average = model_.plan(Mode::average);
    average.state().averaged = static_cast<std::int32_t>(state_.averaged);
    average.run();
    ++state_.averaged;
  }
  if (!in_.ranks->first()) return;  // nobody reads the others' statistics
  Plan& statistics = model_.plan(Mode::statistics);
  statistics.use(WeightSet::average);
  train_loader_.start_epoch(static_cast<std::uint32_t>(state_.epoch));
  Batch batch;
  for (std::int64_t i = 0; i < steps_per_epoch_ && train_loader_.next(batch); ++i) {
    upload_batch(statistics, batch);
    statistics.state().bn_momentum = 1.f / static_cast<float>(i + 1);
    statistics.run();
  }
}

// Fills the row only: whether it counts is known behind the last pass.
void Trainer::validate(EpochRow& row) {
  row.validated = true;
  if (!in_.ranks->first()) return;
  const auto measure = [this](WeightSet set, auto& loss, auto& measures) {
    const Evaluation answers = evaluate(model_, set, val_loader_, in_.val.manifest);
    if (signal() != 0) return;  // and the answers may be incomplete
    loss = answers.loss;
    measures = compute_measures(answers.predictions, {in_.config.calibration.bins, {}});
  };
  measure(WeightSet::current, row.val_loss, row.measures);
  if (state_.averaged > 0) measure(WeightSet::average, row.val_loss_swa, row.measures_swa);
}

// The first rank's verdict, which it alone can come to.
void Trainer::keep_best(const EpochRow& row) {
  if (!row.validated) return;
  if (row.val_loss) {
    const double score = selection_score(*row.measures, *row.val_loss);
    if (score > state_.best) {
      state_.best = score;
      state_.best_epoch = row.epoch;
      write_model("best", WeightSet::current);
    }
  }
  if (row.val_loss_swa) write_model("swa", WeightSet::average);
  in_.ranks->broadcast(&state_.best, sizeof state_.best);
  in_.ranks->broadcast(&state_.best_epoch, sizeof state_.best_epoch);
}

// Heads that gain no more are no reason to leave the backbone untrained.
bool Trainer::out_of_patience() const {
  const Config::Train& t = in_.config.train;
  const int trains_from = t.freeze_epochs < t.epochs ? t.freeze_epochs : 0;
  return t.patience > 0 && state_.best_epoch > 0 &&
         state_.epoch - std::max(state_.best_epoch, trains_from) >= t.patience * t.val_every;
}

bool Trainer::out_of_time() const {
  return in_.config.train.max_hours > 0 &&
         seconds_since(started_) > in_.config.train.max_hours * 3600;
}

double selection_score(const Measures& measures, double val_loss) {
  return measures.classification ? measures.classification->macro_f1 : -val_loss;
}

}  // namespace affuse
