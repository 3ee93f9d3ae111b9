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
  SynthSetOptions options;
  options.train = faces.train;
  options.val = faces.val;
  options.balance = faces.balance;
  options.face.size = faces.size;
  options.face.seed = faces.seed;
  options.face.va_noise = faces.va_noise;
  options.layout = csv ? SynthLayout::csv : SynthLayout::affectnet_npy;
  options.threads = threads;
  write_synthetic(options, folder, [&](std::size_t done, std::size_t all) {
    if (progress) progress("drawing faces", done, all);
  });
}

// Drawn once; a folder that is there is taken as it is.
void draw_if_missing(const Config& config, const DataProgress& progress) {
  const Config::Data& data = config.data;
  if (data.kind != Config::Data::Kind::synthetic || fs::exists(data.root)) return;
  log_info(fmt::format("drawing {} + {} synthetic faces into {}", data.synthetic.train,
                       data.synthetic.val, data.root));
  draw_synthetic_set(data.synthetic, false, data.root, worker_count(config), progress);
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
