// The held-out samples and their temperature.
#include "apps/trainer/holdout.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "apps/config/choices.h"
#include "apps/trainer/calibration.h"
#include "apps/trainer/evaluate.h"
#include "data/split.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

[[noreturn]] void refuse(const Config& config, const Manifest& train,
                         const std::vector<int>& labels) {
  const auto with_class = std::count_if(labels.begin(), labels.end(), [](int l) { return l >= 0; });
  const std::string key = fmt::format("calibration.holdout: {}", config.calibration.holdout);
  if (with_class == 0)
    throw ConfigError(key +
                      ": no training sample has a class to fit a temperature on; set it to 0");
  const bool subjects = std::any_of(train.samples.begin(), train.samples.end(),
                                    [](const Sample& s) { return !s.subject.empty(); });
  throw ConfigError(fmt::format(
      "{} of {} training samples with a class holds out none{}; raise it or set it to 0", key,
      with_class, subjects ? " (only whole subjects, and each class keeps a sample)" : ""));
}

template <class T>
std::vector<T> picked(const std::vector<T>& from, const std::vector<std::size_t>& indices) {
  std::vector<T> out;
  out.reserve(indices.size());
  for (const std::size_t i : indices) out.push_back(from[i]);
  return out;
}

Holdout::Target target_of(const Config& config, const TrainingLabels& labels) {
  if (config.calibration.target != Holdout::Target::automatic) return config.calibration.target;
  return labels.model.noise_aware.components > 0 ? Holdout::Target::corrected
                                                 : Holdout::Target::annotated;
}

// What the fit needs beside the annotated classes.
void add_targets(Holdout& out, const TrainingLabels& labels) {
  if (out.target == Holdout::Target::fused)
    out.fused = soft_labels(labels.model, annotations_of(out.manifest), labels.alpha).p;
  if (out.target != Holdout::Target::corrected) return;
  const NoiseAwareMixture& mixture = labels.model.noise_aware;
  if (mixture.components == 0)
    throw ConfigError(
        "calibration.target: corrected needs samples with class, valence and arousal, to estimate "
        "how many classes are wrong; set it to annotated");
  out.transition = mixture.transition;
  out.wrong = mixture.e;
}

double fit(const Holdout& holdout, const Predictions& p) {
  const auto k = static_cast<std::size_t>(p.classes);
  const auto append = [&](std::vector<double>& to, const std::vector<double>& rows, std::size_t i) {
    const auto row = std::span(rows).subspan(i * k, k);
    to.insert(to.end(), row.begin(), row.end());
  };
  std::vector<int> labels;
  std::vector<double> probabilities, fused;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p.labels[i] < 0) continue;  // it only keeps a subject's faces together
    labels.push_back(p.labels[i]);
    append(probabilities, p.probabilities, i);
    if (!holdout.fused.empty()) append(fused, holdout.fused, i);
  }
  const std::vector<double> logits = log_probabilities(probabilities);
  switch (holdout.target) {
    case Holdout::Target::fused:
      return fit_temperature_soft(logits, p.classes, fused);
    case Holdout::Target::corrected:
      return fit_temperature_corrected(logits, p.classes, labels, holdout.transition);
    default:
      return fit_temperature(logits, p.classes, labels);
  }
}

}  // namespace

std::size_t Holdout::with_class() const {
  return static_cast<std::size_t>(std::count_if(manifest.samples.begin(), manifest.samples.end(),
                                                [](const Sample& s) { return s.has_label(); }));
}

Holdout take_holdout(const Config& config, Split& train, TrainingLabels& labels) {
  if (config.calibration.holdout == 0) return {};
  Manifest& all = train.manifest;
  const std::size_t before = all.samples.size();
  std::vector<std::string> subjects;
  for (const Sample& s : all.samples) subjects.push_back(s.subject);
  const SplitIndices split =
      split_holdout(labels.noisy, subjects, config.calibration.holdout, config.train.seed);
  if (split.val.empty()) refuse(config, all, labels.noisy);
  Holdout out;
  out.manifest = {all.root, all.classes, picked(all.samples, split.val)};
  for (std::size_t i = 0; i < split.val.size(); ++i)
    out.manifest.samples[i].label = labels.noisy[split.val[i]];
  out.target = target_of(config, labels);
  add_targets(out, labels);
  all.samples = picked(all.samples, split.train);
  labels.noisy = picked(labels.noisy, split.train);
  log_info(fmt::format("held out: {} of {} training faces, for the temperature",
                       out.manifest.samples.size(), before));
  if (train.images) train.images->remove(split.val);
  return out;
}

double fit_on_holdout(const Config& config, const Holdout& holdout, Model& model, WeightSet set,
                      int ranks, const std::string& predictions_file) {
  // The images are decoded anew: they are wanted once, and the training set's cache lets them go.
  const Split images{holdout.manifest, nullptr, {}};
  const Share first{0, static_cast<std::size_t>(ranks)};  // the model takes a rank's batch
  Loader loader(holdout.manifest, loader_options(config, images, false, first));
  const Predictions p = evaluate(model, set, loader, holdout.manifest).predictions;
  write_predictions(predictions_file, holdout.manifest, p);
  const double t = fit(holdout, p);
  log_info(fmt::format("temperature: {:.4f}, fitted to {} labels of {} held-out training faces{}",
                       t, name_of(holdout.target), holdout.with_class(),
                       holdout.target == Holdout::Target::corrected
                           ? fmt::format(", {:.1f} % of them estimated wrong", 100 * holdout.wrong)
                           : std::string()));
  if (t <= kMinTemperature || t >= kMaxTemperature)
    log_warning(fmt::format(
        "temperature: {} is the end of its range; the held-out faces do not determine it", t));
  return t;
}

}  // namespace affuse
