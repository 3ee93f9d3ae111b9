// The training loop: epochs of steps, validation, SWA, checkpoints.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/config/config.h"
#include "apps/trainer/dataset.h"
#include "apps/trainer/evaluate.h"
#include "apps/trainer/holdout.h"
#include "apps/trainer/run_folder.h"
#include "apps/trainer/run_log.h"
#include "apps/trainer/schedule.h"
#include "apps/trainer/training_state.h"

namespace affuse {

/// What a training tells whoever shows it; any of them may be empty.
struct TrainEvents {
  /// Samples done in the epoch, samples in it, mean loss of the epoch so far.
  std::function<void(int epoch, std::int64_t done, std::int64_t total, double loss)> batch;
  /// An epoch ended: a line with its measures.
  std::function<void(const std::string&)> epoch;
};

struct TrainOutcome {
  std::string state;                  ///< "done" | "stopped"
  std::string reason;                 ///< why it ended
  int signal = 0;                     ///< that stopped it, or 0
  std::optional<Measures> measures;   ///< of the selected weights on the validation set, when done
                                      ///< (rank 0)
  std::optional<double> temperature;  ///< of the selected weights, where samples are held out
};

/// Everything that a training stands on.
struct TrainInputs {
  Config config;
  Split train, val;
  std::string data;  ///< fingerprint of both, which checkpoints carry
  TrainingLabels labels;
  Holdout holdout;
  ModelCard card;
  std::shared_ptr<RankGroup> ranks = std::make_shared<RankGroup>();
  /// Asked before every batch and while one is awaited: a signal number stops the run for good, 0
  /// lets it go on. May be empty.
  std::function<int()> interrupted;
};

/// Trains `model` into `folder`. The objects must outlive the trainer. Of several ranks each takes
/// its share of every batch, the first alone validates and writes; they stop at the same step.
class Trainer {
 public:
  Trainer(TrainInputs inputs, Model& model, RunFolder& folder, const TrainingState& state);

  /// Runs to the end, to an interruption or to an error. Throws Error: a loss that is not finite
  /// (train.on_nonfinite=stop), an image that became unreadable, a file that cannot be written.
  TrainOutcome run(const TrainEvents& events);

  const TrainingState& state() const { return state_; }
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }

 private:
  struct EpochRow;

  // trainer.cpp
  std::optional<TrainOutcome> train_epoch(const TrainEvents& events);
  std::optional<TrainOutcome> must_stop(bool time_is_over) const;
  int signal() const { return in_.interrupted ? in_.interrupted() : 0; }
  bool train_step(const Batch& batch, Batch& next);
  bool frozen() const;
  Plan& step_plan();
  void begin_phase();
  bool adapt_loss_scale();
  void check_loss(const Batch& batch);
  std::optional<TrainOutcome> end_epoch(const TrainEvents& events);
  void update_average(std::int64_t due);
  void validate(EpochRow& row);
  void keep_best(const EpochRow& row);
  bool out_of_patience() const;
  bool out_of_time() const;

  // trainer_files.cpp
  void open_logs();
  void log_step(double images_per_s);
  void log_epoch(const EpochRow& row);
  void write_checkpoint_file();
  void write_model(const std::string& name, WeightSet set);
  void store_temperature(const std::string& name, double temperature);
  void finish(TrainOutcome& outcome);

  TrainInputs in_;
  Manifest noisy_train_;
  Model& model_;
  RunFolder& folder_;
  TrainingState state_;
  Loader train_loader_, val_loader_;
  std::int64_t steps_per_epoch_;
  Schedule schedule_;
  const bool scaled_;  ///< fp16: the loss is scaled
  std::string config_text_;
  std::unique_ptr<CsvLog> steps_log_, metrics_log_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  double epoch_seconds_ = 0;
  std::int64_t epoch_images_ = 0;
};

}  // namespace affuse
