// From a configuration to the two halves of a data set, ready to be loaded.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "data/image_cache.h"
#include "data/label_model.h"
#include "data/loader.h"
#include "data/manifest.h"
#include "data/sample.h"
#include "data/scan.h"
#include "kernels/math/affect.h"
#include "kernels/math/targets.h"

namespace affuse {

/// One half of a data set: samples whose images can be read, and their decoded images where they
/// fit in memory.
struct Split {
  Manifest manifest;
  std::shared_ptr<ImageCache> images;
  std::vector<BadImage> bad;
};

/// Called from any thread with what is being done ("reading training images"), items done and items
/// in all.
using DataProgress = std::function<void(const char*, std::size_t, std::size_t)>;

/// Draws the synthetic set where data.kind asks for it and it is not there yet.
void draw_if_missing(const Config& config, const DataProgress& progress);

/// Opens the set, after draw_if_missing, and scans every image. `results_file`: see ScanOptions.
/// Throws ConfigError, DataError.
struct Splits {
  Split train, val;
};
Splits open_splits(const Config& config, const std::string& results_file,
                   const DataProgress& progress);

/// Whether draw_if_missing would draw.
bool must_draw(const Config& config);

/// The synthetic set that draw_if_missing would draw, in memory: every annotation, but of the
/// images the first `faces` of each half alone (as many as its cache has).
Splits preview_synthetic(const Config& config, std::size_t faces);

/// Draws the synthetic faces into `folder`, in AffectNet-8's layout or as csv; `threads` 0: one a
/// processor. Throws as write_synthetic.
void draw_synthetic_set(const Config::Data::Synthetic& faces, bool csv, const std::string& folder,
                        int threads, const DataProgress& progress);

/// Only the annotations, no image is touched (`affuse labels`, --dry-run).
DataSplits open_manifests(const Config& config);

/// Batches of a pass over a set.
std::int64_t batches_of(const Config& config, const Manifest& manifest);
/// Those of the training set, with train.limit_batches.
std::int64_t steps_an_epoch(const Config& config, const Manifest& train);

/// "96 faces (checksum 0a1b2c3d)" of the paths and annotations, in order; no image is read.
std::string fingerprint(const Manifest& manifest);
/// Of both halves.
std::string fingerprint(const Split& train, const Split& val);

/// What training needs to know of the annotations.
struct TrainingLabels {
  std::vector<int> noisy;           ///< annotated classes after the configured noise
  LabelModel model;                 ///< fitted on noisy or clean labels (noise.statistics)
  double alpha = 0.5;               ///< Eq. 4
  math::TargetModel<float> target;  ///< the same, as the device takes it
  math::LossSettings loss;          ///< coefficients and class weights (Eq. 5)
};

/// Flips labels, fits the label model, derives the class weights; `train` keeps its clean labels.
/// `every_kind`: fits the noise-aware mixture whatever the kind.
TrainingLabels prepare_labels(const Config& config, const Manifest& train, bool every_kind = false);

/// Training samples with the labels that are trained on.
Manifest with_labels(Manifest manifest, const std::vector<int>& labels);

/// Ready soft labels as a table [N, K] for the loader, where the label model takes them; else
/// empty.
std::vector<float> given_targets(const Config& config, const Manifest& manifest);

/// Loader options of a half under the configuration; validation neither shuffles nor augments.
/// `share`: of one rank in the training batches; validation takes batches of the same size alone.
LoaderOptions loader_options(const Config& config, const Split& split, bool training,
                             Share share = {});

}  // namespace affuse
