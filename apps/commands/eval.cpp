// `affuse eval`: measures of trained weights on a data set.
#include "apps/commands/eval.h"

#include <filesystem>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/output.h"
#include "apps/terminal.h"
#include "apps/trainer/dataset.h"
#include "apps/trainer/evaluate.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/setup.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

// The weights that the run's own selection names, or what there is.
std::string selected_weights(const std::string& run, const Config& config) {
  const std::string folder = run + "/checkpoints/";
  const char* first = config.train.select == Config::Train::Select::swa    ? "swa"
                      : config.train.select == Config::Train::Select::last ? "last"
                                                                           : "best";
  for (const char* name : {first, "best", "last"})
    if (std::string path = folder + name + ".safetensors"; fs::exists(path)) return path;
  throw ConfigError(run + ": no weights in checkpoints/; the run has not ended an epoch yet");
}

Config config_for(const EvalOptions& options, bool is_run) {
  if (!options.config.empty()) return load_config(options.config, options.overrides);
  if (is_run) return load_config(options.path + "/config.json", options.overrides);
  throw ConfigError(options.path +
                    ": a weights file does not say which data to measure on; give --config");
}

// The network is the weights' own; batch, device and data are the configuration's.
void check_classes(const ModelCard& card, const Manifest& manifest, const std::string& weights) {
  if (card.classes != manifest.classes)
    throw DataError(
        fmt::format("{}: its {} classes are not the data set's {}; data.classes names "
                    "the data set's",
                    weights, card.classes.size(), manifest.classes.size()));
}

}  // namespace

int run_eval(const EvalOptions& options) {
  const bool is_run = fs::is_directory(options.path);
  Config config = config_for(options, is_run);
  const std::string path = is_run ? selected_weights(options.path, config) : options.path;
  const Weights weights = read_weights(path);
  const ModelCard card = read_card(weights.metadata, path);
  config.data.image_size = card.network.image_size;
  log_info("weights: " + path);

  const Splits splits = open_splits(config, is_run ? options.path + "/scan.csv" : "", {});
  const Split& split = options.split == EvalOptions::Split::val ? splits.val : splits.train;
  check_classes(card, split.manifest, path);
  TrainingLabels labels = prepare_labels(config, splits.train.manifest);
  const auto model = build_eval_model(open_backend(config), card.network, lower_spec(config));
  load_state_dict(model->parameters(), weights.tensors, path);
  model->bind(external::label_model, &labels.target, sizeof labels.target);
  model->bind(external::loss_settings, &labels.loss, sizeof labels.loss);

  Loader loader(split.manifest, loader_options(config, split, false));
  Progress bar("evaluating", static_cast<std::int64_t>(split.manifest.samples.size()));
  const Evaluation result =
      evaluate(*model, WeightSet::current, loader, split.manifest,
               [&](std::size_t done, std::size_t) { bar.update(static_cast<std::int64_t>(done)); });
  bar.finish();
  std::string file = options.out;
  if (file.empty() && is_run) file = options.path + "/predictions.csv";
  if (!file.empty()) {
    write_predictions(file, split.manifest, result.predictions);
    log_info("predictions: " + file);
  }
  const Measures measures = compute_measures(
      result.predictions, {config.calibration.bins, card.temperature, TemperatureFrom::holdout});
  write_out(options.json ? to_json(measures, card.classes).dump(2) + "\n"
                         : to_text(measures, card.classes));
  return 0;
}

}  // namespace affuse
