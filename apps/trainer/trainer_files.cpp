// What a training leaves on disk: logs, weights, checkpoints, predictions. Rank 0 alone writes.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "apps/trainer/trainer.h"
#include "apps/trainer/trainer_epoch.h"
#include "engine/file.h"
#include "weights/checkpoint.h"

namespace affuse {
namespace {

constexpr const char* kStepColumns = "step,epoch,loss,loss_ce,loss_cs,loss_l2,lr,images_per_s";
constexpr const char* kMeasureColumns[] = {"val_loss",     "accuracy",     "macro_f1",
                                           "rmse_valence", "rmse_arousal", "ccc_valence",
                                           "ccc_arousal",  "ece"};

std::string metrics_header(bool swa) {
  std::string header = "epoch,train_loss";
  for (const char* name : kMeasureColumns) header += fmt::format(",{}", name);
  header += ",lr,seconds,images_per_s";
  if (swa)
    for (const char* name : kMeasureColumns) header += fmt::format(",{}_swa", name);
  return header;
}

// The measures' cells, each with its comma; empty where there is nothing to say.
std::string measure_cells(const std::optional<double>& loss, const std::optional<Measures>& m) {
  std::optional<double> cells[std::size(kMeasureColumns)];
  cells[0] = loss;
  if (m && m->classification) {
    cells[1] = m->classification->accuracy;
    cells[2] = m->classification->macro_f1;
  }
  if (m && m->valence && m->arousal) {
    cells[3] = m->valence->rmse;
    cells[4] = m->arousal->rmse;
    cells[5] = m->valence->ccc;
    cells[6] = m->arousal->ccc;
  }
  if (m && m->calibration) cells[7] = m->calibration->raw.ece;
  std::string text;
  for (const auto& cell : cells) text += cell ? fmt::format(",{:.9g}", *cell) : std::string(",");
  return text;
}

}  // namespace

void Trainer::open_logs() {
  if (!in_.ranks->first()) return;
  steps_log_ = std::make_unique<CsvLog>(folder_.file("steps.csv"), kStepColumns, state_.step);
  metrics_log_ = std::make_unique<CsvLog>(folder_.file("metrics.csv"),
                                          metrics_header(in_.config.swa.enabled), state_.epoch);
}

void Trainer::log_step(double images_per_s) {
  if (!in_.ranks->first()) return;
  const StepState& s = step_plan().state();
  steps_log_->add(fmt::format("{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.1f}", state_.step,
                              state_.epoch + 1, s.loss, s.loss_ce, s.loss_cs, s.loss_l2, s.lr,
                              images_per_s));
}

void Trainer::log_epoch(const EpochRow& row) {
  if (!in_.ranks->first()) return;
  std::string line = fmt::format("{},{:.9g}", row.epoch, row.train_loss) +
                     measure_cells(row.val_loss, row.measures) +
                     fmt::format(",{:.9g},{:.2f},{:.1f}", row.lr, row.seconds, row.images_per_s);
  if (in_.config.swa.enabled) line += measure_cells(row.val_loss_swa, row.measures_swa);
  metrics_log_->add(line);
}

void Trainer::write_checkpoint_file() {
  if (!in_.ranks->first()) return;
  steps_log_->sync();  // the rows that a resumed run counts on
  metrics_log_->sync();
  write_checkpoint(folder_.file("checkpoints/last.safetensors"),
                   folder_.file("checkpoints/prev.safetensors"),
                   make_checkpoint(model_, state_, in_.card, config_text_));
  folder_.write_status("running", state_.epoch, "");
}

void Trainer::write_model(const std::string& name, WeightSet set) {
  if (!in_.ranks->first()) return;
  Weights weights;
  // Frozen batch norm has seen no batches.
  const std::int64_t frozen = in_.config.train.freeze_epochs * steps_per_epoch_;
  weights.tensors =
      state_dict(model_.parameters(), set, std::max<std::int64_t>(0, state_.step - frozen));
  weights.metadata = in_.card.metadata();
  weights.metadata["epoch"] = std::to_string(state_.epoch);
  write_weights(folder_.file("checkpoints/" + name + ".safetensors"), weights);
}

// Into the file of the weights that it was fitted for; `last` is a checkpoint, with a checksum.
void Trainer::store_temperature(const std::string& name, double temperature) {
  const std::string path = folder_.file("checkpoints/" + name + ".safetensors");
  const bool checkpoint = name == "last";
  Weights weights = checkpoint ? read_checkpoint(path) : read_weights(path);
  ModelCard card = in_.card;
  card.temperature = temperature;
  for (const auto& [key, value] : card.metadata()) weights.metadata[key] = value;
  if (checkpoint)
    write_checkpoint(path, {}, weights);
  else
    write_weights(path, weights);
}

// The selected weights' answers on the validation set, and their temperature; nothing when
// interrupted.
void Trainer::finish(TrainOutcome& outcome) {
  if (!in_.ranks->first()) return;
  const auto select = in_.config.train.select;
  WeightSet set = WeightSet::current;
  std::string name = "last";
  if (select == Config::Train::Select::swa && state_.averaged > 0) {
    set = WeightSet::average;
    name = "swa";
  } else if (select == Config::Train::Select::best_macro_f1 && state_.best_epoch > 0) {
    name = "best";
    const std::string best = folder_.file("checkpoints/best.safetensors");
    load_state_dict(model_.parameters(), read_weights(best).tensors, best);
    model_.parameters_changed();
  }
  const Evaluation last = evaluate(model_, set, val_loader_, in_.val.manifest);
  if (signal() != 0) return;
  write_predictions(folder_.file("predictions.csv"), in_.val.manifest, last.predictions);
  MeasureOptions options{in_.config.calibration.bins, {}};
  if (!in_.holdout.empty()) {
    options.temperature = fit_on_holdout(in_.config, in_.holdout, model_, set, in_.ranks->size(),
                                         folder_.file("holdout_predictions.csv"));
    options.temperature_from = TemperatureFrom::holdout;
    store_temperature(name, *options.temperature);
  }
  outcome.temperature = options.temperature;
  outcome.measures = compute_measures(last.predictions, options);
}

}  // namespace affuse
