// Fits the label model on a manifest; writes labels.csv and the summary.
#include "apps/commands/labels.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "apps/trainer/dataset.h"
#include "data/csv.h"
#include "data/manifest.h"
#include "engine/descriptor.h"
#include "engine/error.h"
#include "engine/file.h"
#include "fmt/format.h"

namespace affuse {
namespace {

constexpr std::size_t kFlush = std::size_t{1} << 20;

std::vector<std::string> class_names_of(const LabelsOptions& options) {
  std::vector<std::string> names = options.class_names;
  if (options.classes == 0) return names;
  if (options.classes < 0 || options.classes > math::kMaxClasses) {
    throw ConfigError(
        fmt::format("--classes: {} is not in 1 to {}", options.classes, math::kMaxClasses));
  }
  if (!names.empty() && names.size() != static_cast<std::size_t>(options.classes)) {
    throw ConfigError(
        fmt::format("--classes: {}, but data.classes names {}", options.classes, names.size()));
  }
  for (int k = static_cast<int>(names.size()); k < options.classes; ++k) {
    names.push_back(std::to_string(k));
  }
  return names;
}

/// One group of K columns of labels.csv.
struct Group {
  const char* name;
  LabelPosterior posterior;
};

/// ",p" for each probability; K empty cells where there is none.
void append_row(fmt::memory_buffer& out, std::span<const double> p, std::size_t classes) {
  for (std::size_t k = 0; k < classes; ++k) {
    if (p.empty()) {
      out.push_back(',');
    } else {
      fmt::format_to(std::back_inserter(out), ",{}", p[k]);
    }
  }
}

void append_number(fmt::memory_buffer& out, double value) {
  out.push_back(',');
  if (std::isfinite(value)) fmt::format_to(std::back_inserter(out), "{}", value);
}

std::string header_line(const std::vector<Group>& groups, std::size_t classes) {
  std::string line = "path,class,valence,arousal";
  const auto append = [&](const char* name) {
    for (std::size_t k = 0; k < classes; ++k) line += fmt::format(",p_{}_{}", name, k);
  };
  for (const Group& group : groups) append(group.name);
  append("fused");
  return line + "\n";
}

void write_labels(const std::string& out_dir, const Manifest& manifest, const Annotations& data,
                  const LabelModel& model, double alpha, double smoothing) {
  if (out_dir.empty()) return;
  std::error_code code;
  std::filesystem::create_directories(out_dir, code);
  if (code)
    throw FileError(fmt::format("{}: cannot be made: {}", out_dir, write_failure(code.value())));
  write_labels_csv(out_dir + "/labels.csv", manifest, data, model, alpha, smoothing);
  write_file_atomic(out_dir + "/labels.json", labels_json(model, manifest.classes, alpha));
}

}  // namespace

void write_labels_csv(const std::string& path, const Manifest& manifest, const Annotations& data,
                      const LabelModel& model, double alpha, double smoothing) {
  const SoftLabels soft = soft_labels(model, data, alpha, smoothing);
  const auto classes = static_cast<std::size_t>(model.classes());
  std::vector<Group> groups{{"gmm", {model, LabelKind::gmm}},
                            {"euclid", {model, LabelKind::euclid}}};
  if (model.noise_aware.components > 0) {
    groups.push_back({"noise_aware", {model, LabelKind::noise_aware}});
  }
  const auto append_sample = [&](fmt::memory_buffer& out, std::size_t i) {
    const int label = data.labels[i];
    fmt::format_to(
        std::back_inserter(out), "{},{}", csv_field(manifest.samples[i].path),
        label < 0 ? "" : csv_field(manifest.classes.at(static_cast<std::size_t>(label))));
    append_number(out, data.valence[i]);
    append_number(out, data.arousal[i]);
    for (const Group& group : groups) append_row(out, group.posterior(data, i), classes);
    const bool labelled = soft.labels[i] >= 0;
    append_row(out, std::span(soft.p).subspan(i * classes, labelled ? classes : 0), classes);
    out.push_back('\n');
  };
  write_file_atomic(path, [&](const ByteSink& sink) {
    fmt::memory_buffer buffer;
    const auto flush = [&] {
      sink({reinterpret_cast<const std::uint8_t*>(buffer.data()), buffer.size()});
      buffer.clear();
    };
    buffer.append(header_line(groups, classes));
    for (std::size_t i = 0; i < data.size(); ++i) {
      append_sample(buffer, i);
      if (buffer.size() >= kFlush) flush();
    }
    flush();
  });
}

std::string labels_summary(const LabelModel& model, const std::vector<std::string>& classes,
                           double alpha) {
  fmt::memory_buffer out;
  const auto to = std::back_inserter(out);
  std::size_t width = 5;
  for (const std::string& name : classes) width = std::max(width, name.size());
  fmt::format_to(to,
                 "label model {}, alpha {}\n{:<{}}   samples    weight      pi  points kept   "
                 "mean v  mean a   std v   std a       r\n",
                 name_of(model.options.kind), alpha, "class", width);
  for (std::size_t k = 0; k < model.pi.size(); ++k) {
    const Covariance& s = model.sigma[k];
    const double std_v = std::sqrt(s.vv), std_a = std::sqrt(s.aa);
    const double r = std_v * std_a > 0 ? s.va / (std_v * std_a) : 0.0;
    fmt::format_to(to,
                   "{:<{}}  {:8}  {:8.3f}  {:6.4f}  {:11}  {:7.3f} {:7.3f} {:7.3f} {:7.3f} "
                   "{:7.3f}\n",
                   classes.at(k), width, model.counts[k], model.weights[k], model.pi[k],
                   model.kept[k], model.mu[k].v, model.mu[k].a, std_v, std_a, r);
  }
  const NoiseAwareMixture& m = model.noise_aware;
  if (m.components > 0) {
    fmt::format_to(to,
                   "noise-aware mixture, {} components a class: {:.1f} % of the annotations look "
                   "wrong (e = {:.4f}); {} after {} rounds\n",
                   m.components, 100 * m.e, m.e, m.reason, m.rounds);
  }
  return fmt::to_string(out);
}

std::string run_labels(const LabelsOptions& options) {
  const Manifest manifest = read_csv_manifest(options.manifest_csv, class_names_of(options));
  if (manifest.samples.empty()) {
    throw DataError(options.manifest_csv + ": no samples below the header line");
  }
  LabelModelOptions model_options = options.model;
  model_options.noise_aware = true;  // labels.csv has its columns whatever the kind
  const Annotations data = annotations_of(manifest);
  const double alpha = options.alpha.value_or(default_alpha(model_options.kind));
  LabelModel model;
  try {
    model = fit_label_model(data, static_cast<int>(manifest.classes.size()), model_options,
                            manifest.classes);
  } catch (const DataError& error) {
    throw DataError(options.manifest_csv + ": " + error.what());
  }
  write_labels(options.out_dir, manifest, data, model, alpha, 0);
  return labels_summary(model, manifest.classes, alpha);
}

std::string run_labels(const Config& config, const std::string& out_dir) {
  const Manifest manifest = open_manifests(config).train;
  const TrainingLabels labels = prepare_labels(config, manifest, true);
  Annotations data = annotations_of(manifest);
  data.labels = labels.noisy;
  write_labels(out_dir, manifest, data, labels.model, labels.alpha, config.loss.label_smoothing);
  return labels_summary(labels.model, manifest.classes, labels.alpha);
}

}  // namespace affuse
