// Noise, label model and class weights of a training set.
#include <algorithm>

#include "apps/config/choices.h"
#include "apps/config/label_options.h"
#include "apps/trainer/dataset.h"
#include "data/label_noise.h"
#include "data/target_model.h"
#include "engine/error.h"

namespace affuse {
namespace {

LabelNoiseOptions noise_options(const Config& config) {
  LabelNoiseOptions o;
  o.rate = config.noise.rate;
  o.mode = noise_mode_of(name_of(config.noise.mode));
  o.seed = config.noise.seed.value_or(config.train.seed);
  return o;
}

math::ClassWeightMode weight_mode(Config::Loss::ClassWeights mode) {
  switch (mode) {
    case Config::Loss::ClassWeights::sample:
      return math::ClassWeightMode::sample;
    case Config::Loss::ClassWeights::per_class:
      return math::ClassWeightMode::per_class;
    case Config::Loss::ClassWeights::soft:
      return math::ClassWeightMode::soft;
    case Config::Loss::ClassWeights::none:
      return math::ClassWeightMode::none;
  }
  return math::ClassWeightMode::none;
}

// Soft mode counts N_k = sum_n q_nk of the labels as they are trained on, smoothing included, since
// the loss weighs a sample by the same q_nk; the others count annotated classes.
std::vector<double> weights_of(const Config& config, const LabelModel& model,
                               const Annotations& statistics, double alpha) {
  if (config.loss.class_weights != Config::Loss::ClassWeights::soft) return model.weights;
  const SoftLabels soft = soft_labels(model, statistics, alpha, config.loss.label_smoothing);
  const auto k = static_cast<std::size_t>(soft.classes);
  std::vector<double> counts(k, 0);
  for (std::size_t i = 0; i < soft.p.size(); ++i) counts[i % k] += soft.p[i];
  const double largest = *std::max_element(counts.begin(), counts.end());
  for (double& c : counts) c = c > 0 ? largest / c : 0;
  return counts;
}

math::LossSettings loss_settings(const Config& config, const std::vector<double>& weights) {
  math::LossSettings s;
  s.coef_ce = static_cast<float>(config.loss.ce);
  s.coef_cs = static_cast<float>(config.loss.cs);
  s.coef_l2 = static_cast<float>(config.loss.l2);
  s.mode = weight_mode(config.loss.class_weights);
  s.weighted_l2 = config.loss.weighted_l2;
  s.focal_gamma = static_cast<float>(config.loss.focal_gamma);
  s.classes = static_cast<int>(weights.size());
  for (std::size_t k = 0; k < weights.size(); ++k)
    s.class_weight[k] = static_cast<float>(weights[k]);
  return s;
}

/// Whether the held-out temperature asks how many annotations are wrong.
bool estimates_noise(const Config::Calibration& c) {
  using Target = Config::Calibration::Target;
  return c.holdout > 0 && (c.target == Target::corrected || c.target == Target::automatic);
}

}  // namespace

TrainingLabels prepare_labels(const Config& config, const Manifest& train, bool every_kind) {
  TrainingLabels out;
  const int classes = static_cast<int>(train.classes.size());
  Annotations annotations = annotations_of(train);
  out.noisy = flip_labels(annotations.labels, classes, noise_options(config));
  if (config.noise.statistics == Config::Noise::Statistics::noisy) annotations.labels = out.noisy;
  LabelModelOptions options = label_model_options(config);
  options.noise_aware = every_kind || estimates_noise(config.calibration);
  out.model = fit_label_model(annotations, classes, options, train.classes);
  out.alpha = config.fusion.alpha.value_or(default_alpha(options.kind));
  out.target = target_model(out.model, out.alpha, config.loss.label_smoothing);
  out.loss = loss_settings(config, weights_of(config, out.model, annotations, out.alpha));
  return out;
}

Manifest with_labels(Manifest manifest, const std::vector<int>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) manifest.samples[i].label = labels[i];
  return manifest;
}

std::vector<float> given_targets(const Config& config, const Manifest& manifest) {
  if (config.label_model.kind != Config::LabelModel::Kind::given) return {};
  const std::size_t k = manifest.classes.size();
  std::vector<float> table(manifest.samples.size() * k, 0.f);
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    std::copy(manifest.samples[i].soft.begin(), manifest.samples[i].soft.end(),
              table.begin() + static_cast<std::ptrdiff_t>(i * k));
  return table;
}

}  // namespace affuse
