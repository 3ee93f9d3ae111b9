// `affuse predict`: class probabilities, valence and arousal of images.
#include "apps/commands/predict.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/output.h"
#include "apps/terminal.h"
#include "apps/trainer/evaluate.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/setup.h"
#include "data/csv.h"
#include "data/npy.h"
#include "data/scan.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"
#include "kernels/math/affect.h"
#include "kernels/math/targets.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kBatch = 32;

std::string lower_extension(const fs::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return end;
}

bool looks_like_image(const fs::path& path) {
  const std::string end = lower_extension(path);
  return end == ".jpg" || end == ".jpeg" || end == ".png" || end == ".bmp";
}

void add_folder(const std::string& folder, std::vector<std::string>& paths) {
  std::vector<std::string> found;
  std::error_code no_file;  // such as a link to itself
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file(no_file) && looks_like_image(entry.path()))
      found.push_back(entry.path().string());
  if (found.empty())
    throw DataError(folder + ": no image in this folder (.jpg, .jpeg, .png, .bmp)");
  std::sort(found.begin(), found.end());
  paths.insert(paths.end(), found.begin(), found.end());
}

// Paths in a table are relative to the table's folder.
void add_csv(const std::string& file, std::vector<std::string>& paths) {
  const CsvTable table = CsvTable::read(file);
  const int column = table.require("path");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const fs::path path = table.text(row, column);
    paths.push_back(path.is_absolute() ? path.string()
                                       : (fs::path(file).parent_path() / path).string());
  }
}

Manifest collect(const std::vector<std::string>& inputs, const ModelCard& card) {
  std::vector<std::string> paths;
  std::error_code no_folder;  // whatever it is, the scan says why it cannot be read
  for (const std::string& input : inputs) {
    if (fs::is_directory(input, no_folder)) {
      add_folder(input, paths);
    } else if (lower_extension(input) == ".csv") {
      add_csv(input, paths);
    } else {
      paths.push_back(input);
    }
  }
  Manifest manifest;
  manifest.classes = card.classes;
  for (std::string& path : paths) {
    Sample sample;
    sample.path = std::move(path);
    manifest.samples.push_back(std::move(sample));
  }
  return manifest;
}

std::size_t argmax(const double* p, std::size_t n) {
  return static_cast<std::size_t>(std::max_element(p, p + n) - p);
}

std::string json_line(const Sample& s, const std::vector<std::string>& classes, const double* p,
                      double v, double a) {
  nlohmann::ordered_json probabilities;
  for (std::size_t k = 0; k < classes.size(); ++k) probabilities[classes[k]] = p[k];
  return nlohmann::ordered_json{{"schema", 1},
                                {"path", s.path},
                                {"class", classes[argmax(p, classes.size())]},
                                {"probabilities", probabilities},
                                {"valence", v},
                                {"arousal", a}}
             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

std::string text_line(const Sample& s, const std::vector<std::string>& classes, const double* p,
                      double v, double a) {
  const std::size_t best = argmax(p, classes.size());
  return fmt::format("{}  {} {:.3f}  valence {:+.3f}  arousal {:+.3f}\n", s.path, classes[best],
                     p[best], v, a);
}

// Features of every image, [N, C], in the manifest's order.
void write_features(const std::string& path, Model& model, Loader& loader, std::size_t count) {
  Plan& plan = model.plan(Mode::eval);
  const Buffer& buffer =
      plan.program().buffers[static_cast<std::size_t>(plan.program().find(io::features))];
  const auto width = static_cast<std::size_t>(buffer.desc.shape[1]);
  std::vector<float> all, rows;
  Batch batch;
  loader.start_epoch(0);
  while (loader.next(batch)) {
    upload_batch(plan, batch);
    plan.run();
    rows.resize(batch.n * width);
    plan.download(io::features, rows.data(), rows.size() * sizeof(float));
    all.insert(all.end(), rows.begin(),
               rows.begin() + static_cast<std::ptrdiff_t>(batch.valid * width));
  }
  const NpyArray array =
      npy_float(all, {static_cast<std::int64_t>(count), static_cast<std::int64_t>(width)});
  write_file_atomic(path, std::span<const std::uint8_t>(npy_bytes(array)));
}

// A label model and losses that nobody reads: predictions have no annotations.
void bind_nothing(Model& model, int classes) {
  math::TargetModel<float> target{};
  target.kind = math::TargetKind::onehot;
  target.classes = classes;
  math::LossSettings loss;
  loss.classes = classes;
  model.bind(external::label_model, &target, sizeof target);
  model.bind(external::loss_settings, &loss, sizeof loss);
}

}  // namespace

int run_predict(const PredictOptions& options) {
  const Weights weights = read_weights(options.weights);
  const ModelCard card = read_card(weights.metadata, options.weights);
  if (options.calibrated && !card.temperature)
    throw ConfigError(options.weights +
                      ": --calibrated needs a temperature, which these weights do not carry; train "
                      "with calibration.holdout");
  Manifest manifest = collect(options.inputs, card);
  ScanOptions scan;
  scan.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  scan.max_bad_fraction = 1;
  const std::vector<BadImage> bad = scan_images(manifest, scan).bad;
  for (const BadImage& b : bad) log_warning(b.path + ": " + b.reason + "; left out");

  Config config;
  LowerSpec spec;
  spec.batch = static_cast<int>(std::min(kBatch, manifest.samples.size()));
  const auto model = build_eval_model(open_backend(config), card.network, spec);
  load_state_dict(model->parameters(), weights.tensors, options.weights);
  bind_nothing(*model, card.network.classes);
  LoaderOptions loading;
  loading.image_size = card.network.image_size;
  loading.batch = static_cast<std::size_t>(spec.batch);
  loading.shuffle = false;
  loading.workers = scan.threads;
  loading.augment.enabled = false;
  Loader loader(manifest, loading);
  Progress bar("predicting", static_cast<std::int64_t>(manifest.samples.size()));
  Predictions p =
      evaluate(*model, WeightSet::current, loader, manifest, [&](std::size_t done, std::size_t) {
        bar.update(static_cast<std::int64_t>(done));
      }).predictions;
  bar.finish();
  if (options.calibrated)
    p.probabilities =
        scaled_softmax(log_probabilities(p.probabilities), p.classes, *card.temperature);
  const std::size_t k = card.classes.size();
  for (std::size_t i = 0; i < manifest.samples.size(); ++i)
    write_out((options.json ? json_line : text_line)(manifest.samples[i], card.classes,
                                                     p.probabilities.data() + i * k,
                                                     p.pred_valence[i], p.pred_arousal[i]));
  if (!options.features.empty())
    write_features(options.features, *model, loader, manifest.samples.size());
  return bad.empty() ? 0 : 1;
}

}  // namespace affuse
