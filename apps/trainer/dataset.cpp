#include "apps/trainer/dataset.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "apps/trainer/memory_budget.h"
#include "data/label_noise.h"
#include "data/manifest.h"
#include "data/synth/writer.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

int worker_count(const Config& config) {
  if (config.data.workers > 0) return config.data.workers;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

ImageLimits limits_of(const Config& config) {
  return {static_cast<std::size_t>(config.data.max_file_bytes),
          static_cast<std::size_t>(config.data.max_pixels)};
}

DataSource source_of(const Config& config) {
  const Config::Data& data = config.data;
  DataSource source;
  source.kind = data.kind == Config::Data::Kind::csv ? "csv" : "affectnet_npy";
  source.root = data.root;
  source.train = data.train;
  source.val = data.val;
  source.classes = data.classes;
  source.seed = config.train.seed;
  source.val_fraction = data.split.fraction;
  source.threads = worker_count(config);
  return source;
}

Split scan(const Config& config, Manifest manifest, const char* what,
           const std::string& results_file, const DataProgress& progress) {
  Split split;
  split.manifest = std::move(manifest);
  split.images = ImageCache::create(split.manifest.samples.size(), config.data.image_size,
                                    image_cache_budget());
  ScanOptions options;
  options.threads = worker_count(config);
  options.max_bad_fraction = config.data.max_bad_fraction;
  options.limits = limits_of(config);
  options.results_file = results_file;
  options.progress = [&](std::size_t done, std::size_t all) {
    if (progress) progress(what, done, all);
  };
  split.bad = scan_images(split.manifest, options, split.images.get()).bad;
  return split;
}

SynthSetOptions synth_options(const Config::Data::Synthetic& faces) {
  SynthSetOptions options;
  options.train = faces.train;
  options.val = faces.val;
  options.balance = faces.balance;
  options.face.size = faces.size;
  options.face.seed = faces.seed;
  options.face.va_noise = faces.va_noise;
  return options;
}

Split preview(const Config& config, const SynthOptions& options, const std::vector<int>& labels,
              std::uint32_t first_index, std::size_t faces) {
  const std::vector<std::string>& classes = config.data.classes;
  const int size = config.data.image_size;
  Split split;
  split.manifest = {config.data.root, classes, {}};
  split.images = std::make_shared<ImageCache>(std::min(faces, labels.size()), size);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= static_cast<int>(classes.size())) continue;  // 7 classes: no Contempt
    const std::uint32_t index = first_index + static_cast<std::uint32_t>(i);
    const std::size_t at = split.manifest.samples.size();
    const bool painted = at < split.images->samples();
    const SynthFace face = (painted ? synth_face : synth_annotation)(options, index, labels[i]);
    if (painted) split.images->store(at, resize_image(face.image, size, size).rgb);
    Sample& sample = split.manifest.samples.emplace_back();
    sample.path = fmt::format("face {}", i);
    sample.label = face.label;
    sample.valence = face.annotated_va.valence;
    sample.arousal = face.annotated_va.arousal;
  }
  return split;
}

AugmentSettings augment_settings(const Config::Augment& a) {
  AugmentSettings s;
  s.enabled = a.enabled;
  s.flip = a.flip;
  s.degrees = a.degrees;
  s.translate = a.translate;
  s.scale_min = a.scale[0];
  s.scale_max = a.scale[1];
  s.brightness = a.brightness;
  s.contrast = a.contrast;
  s.saturation = a.saturation;
  s.hue = a.hue;
  s.erase_p = a.erase.p;
  s.erase_area_min = a.erase.area[0];
  s.erase_area_max = a.erase.area[1];
  s.erase_ratio_min = a.erase.ratio[0];
  s.erase_ratio_max = a.erase.ratio[1];
  return s;
}

}  // namespace

void draw_synthetic_set(const Config::Data::Synthetic& faces, bool csv, const std::string& folder,
                        int threads, const DataProgress& progress) {
  SynthSetOptions options = synth_options(faces);
  options.layout = csv ? SynthLayout::csv : SynthLayout::affectnet_npy;
  options.threads = threads;
  write_synthetic(options, folder, [&](std::size_t done, std::size_t all) {
    if (progress) progress("drawing faces", done, all);
  });
}

bool must_draw(const Config& config) {
  return config.data.kind == Config::Data::Kind::synthetic && !fs::exists(config.data.root);
}

// Drawn once; a folder that is there is taken as it is.
void draw_if_missing(const Config& config, const DataProgress& progress) {
  const Config::Data& data = config.data;
  if (!must_draw(config)) return;
  log_info(fmt::format("drawing {} + {} synthetic faces into {}", data.synthetic.train,
                       data.synthetic.val, data.root));
  draw_synthetic_set(data.synthetic, false, data.root, worker_count(config), progress);
}

std::int64_t batches_of(const Config& config, const Manifest& manifest) {
  const auto n = static_cast<std::int64_t>(manifest.samples.size());
  const std::int64_t batch = config.train.batch_size;
  return (n + batch - 1) / batch;
}

std::int64_t steps_an_epoch(const Config& config, const Manifest& train) {
  const std::int64_t all = batches_of(config, train), limit = config.train.limit_batches;
  return limit > 0 ? std::min(limit, all) : all;
}

std::string fingerprint(const Manifest& manifest) {
  std::uint32_t crc = 0;
  for (const Sample& s : manifest.samples) {
    const std::string row = fmt::format("{},{},{},{},{}\n", s.path, s.label, s.valence, s.arousal,
                                        fmt::join(s.soft, ","));
    crc = crc32c({reinterpret_cast<const std::uint8_t*>(row.data()), row.size()}, crc);
  }
  return fmt::format("{} faces (checksum {:08x})", manifest.samples.size(), crc);
}

std::string fingerprint(const Split& train, const Split& val) {
  return fmt::format("trained on {}, validated on {}", fingerprint(train.manifest),
                     fingerprint(val.manifest));
}

Splits preview_synthetic(const Config& config, std::size_t faces) {
  const SynthSetOptions options = synth_options(config.data.synthetic);
  Splits splits;
  splits.train = preview(config, options.face, synth_train_labels(options), 0, faces);
  splits.val =
      preview(config, options.face, synth_val_labels(options), kSynthValidationIndex, faces);
  return splits;
}

DataSplits open_manifests(const Config& config) { return open_data(source_of(config)); }

Splits open_splits(const Config& config, const std::string& results_file,
                   const DataProgress& progress) {
  draw_if_missing(config, progress);
  DataSplits halves = open_manifests(config);
  Splits splits;
  splits.train =
      scan(config, std::move(halves.train), "reading training images", results_file, progress);
  splits.val =
      scan(config, std::move(halves.val), "reading validation images", results_file, progress);
  return splits;
}

LoaderOptions loader_options(const Config& config, const Split& split, bool training, Share share) {
  LoaderOptions o;
  o.image_size = config.data.image_size;
  o.batch = static_cast<std::size_t>(config.train.batch_size);
  if (training)
    o.share = share;
  else
    o.batch /= share.size;
  o.shuffle = training && config.data.shuffle;
  o.seed = config.train.seed;
  o.workers = worker_count(config);
  o.prefetch = static_cast<std::size_t>(config.data.prefetch);
  o.augment = augment_settings(config.augment);
  o.augment.enabled = o.augment.enabled && training;
  o.limits = limits_of(config);
  o.images = split.images;
  return o;
}

}  // namespace affuse
