#include "apps/trainer/evaluate.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "data/csv.h"
#include "engine/file.h"

namespace affuse {
namespace {

template <class T>
void upload_vector(Plan& plan, const char* name, const std::vector<T>& values) {
  plan.upload(name, values.data(), values.size() * sizeof(T));
}

Predictions blank(const Manifest& manifest) {
  const std::size_t n = manifest.samples.size(), k = manifest.classes.size();
  Predictions p;
  p.classes = static_cast<int>(k);
  p.probabilities.resize(n * k);
  p.pred_valence.resize(n);
  p.pred_arousal.resize(n);
  for (const Sample& s : manifest.samples) {
    p.labels.push_back(s.label);
    p.valence.push_back(s.valence);
    p.arousal.push_back(s.arousal);
  }
  return p;
}

}  // namespace

void upload_inputs(Plan& plan, const Batch& batch) {
  upload_vector(plan, io::images, batch.images);
  upload_vector(plan, io::augment, batch.augment);
  if (plan.has(io::label)) {
    upload_vector(plan, io::label, batch.labels);
    upload_vector(plan, io::va, batch.va);
    upload_vector(plan, io::has_va, batch.has_va);
    upload_vector(plan, io::given, batch.q);
  }
}

void upload_batch(Plan& plan, const Batch& batch) {
  upload_inputs(plan, batch);
  plan.state().valid = static_cast<std::int32_t>(batch.valid);
}

Evaluation evaluate(Model& model, WeightSet set, Loader& loader, const Manifest& manifest,
                    const std::function<void(std::size_t, std::size_t)>& progress) {
  Plan& plan = model.plan(Mode::eval);
  plan.use(set);
  Evaluation out;
  out.predictions = blank(manifest);
  const std::size_t k = manifest.classes.size();
  Batch batch;
  loader.start_epoch(0);
  double weighted = 0;
  std::size_t done = 0;
  std::vector<float> probabilities, va;
  while (loader.next(batch)) {
    upload_batch(plan, batch);
    plan.run();
    probabilities.resize(batch.n * k);
    va.resize(batch.n * 2);
    plan.download(io::probability, probabilities.data(), probabilities.size() * sizeof(float));
    plan.download(io::va_out, va.data(), va.size() * sizeof(float));
    for (std::size_t row = 0; row < batch.valid; ++row) {
      const std::size_t i = batch.indices[row];
      for (std::size_t c = 0; c < k; ++c)
        out.predictions.probabilities[i * k + c] = double{probabilities[row * k + c]};
      out.predictions.pred_valence[i] = double{va[2 * row]};
      out.predictions.pred_arousal[i] = double{va[2 * row + 1]};
    }
    weighted += plan.state().loss * static_cast<double>(batch.valid);
    done += batch.valid;
    if (progress) progress(done, manifest.samples.size());
  }
  out.loss = done > 0 ? weighted / static_cast<double>(done) : 0;
  return out;
}

void write_predictions(const std::string& path, const Manifest& manifest,
                       const Predictions& predictions) {
  const auto k = static_cast<std::size_t>(predictions.classes);
  std::string text = "path,class,valence,arousal";
  auto out = std::back_inserter(text);
  for (std::size_t c = 0; c < k; ++c) fmt::format_to(out, ",p_{}", c);
  text += ",pred_valence,pred_arousal\n";
  const auto number = [&](double x) {
    if (std::isfinite(x)) fmt::format_to(out, "{}", x);
  };
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
    const Sample& s = manifest.samples[i];
    text += csv_field(s.path) + ",";
    if (s.has_label()) fmt::format_to(out, "{}", s.label);
    text += ",";
    number(s.valence);
    text += ",";
    number(s.arousal);
    for (std::size_t c = 0; c < k; ++c) {
      text += ",";
      number(predictions.probabilities[i * k + c]);
    }
    text += ",";
    number(predictions.pred_valence[i]);
    text += ",";
    number(predictions.pred_arousal[i]);
    text += "\n";
  }
  write_file_atomic(path, std::string_view(text));
}

}  // namespace affuse
