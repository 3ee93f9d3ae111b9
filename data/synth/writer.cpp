// The layouts of a synthetic set on disk.
#include "data/synth/writer.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "data/npy.h"
#include "data/parallel.h"
#include "data/synth/output_folder.h"
#include "engine/error.h"

namespace affuse {
namespace {

/// One split on its way to disk.
struct Split {
  std::string name;  ///< train or val
  std::uint32_t first_index;
  std::vector<int> labels;
};

std::vector<int> shuffled_labels(const std::vector<int>& counts, std::uint64_t seed,
                                 std::uint32_t split) {
  std::vector<int> labels;
  for (std::size_t k = 0; k < counts.size(); ++k)
    labels.insert(labels.end(), static_cast<std::size_t>(counts[k]), static_cast<int>(k));
  Philox random(seed, Purpose::shuffle, split);
  for (std::size_t i = labels.size(); i > 1; --i)
    std::swap(labels[i - 1], labels[random.below(static_cast<std::uint32_t>(i))]);
  return labels;
}

void check(const SynthSetOptions& o) {
  if (o.train < 1 || o.val < 1)
    throw ConfigError(
        fmt::format("synthetic set: {} training and {} validation faces; each must be at least 1",
                    o.train, o.val));
  if (!(o.balance >= 0 && o.balance <= 2))
    throw ConfigError(fmt::format("synthetic set: balance {} is outside 0..2", o.balance));
  if (o.jpeg_quality < 1 || o.jpeg_quality > 100)
    throw ConfigError(
        fmt::format("synthetic set: JPEG quality {} is outside 1..100", o.jpeg_quality));
  if (o.threads < 0 || o.threads > 1024)
    throw ConfigError(fmt::format("synthetic set: {} threads are outside 0..1024", o.threads));
  synth_annotation(o.face, 0, 0);
}

std::string number(double x) { return fmt::format("{:.6f}", x); }

void write_text(const std::string& path, const std::string& text) {
  write_plain(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void write_affectnet(const std::string& root, const std::string& split, std::size_t id,
                     const SynthFace& face, int quality) {
  const std::string set = fmt::format("{}/{}_set", root, split);
  write_plain(fmt::format("{}/images/{}.jpg", set, id), encode_jpeg(face.image, quality));
  const auto annotate = [&](const char* what, const std::string& value) {
    write_plain(fmt::format("{}/annotations/{}_{}.npy", set, id, what),
                npy_bytes(npy_string(value)));
  };
  annotate("exp", std::to_string(face.label));
  annotate("val", number(face.annotated_va.valence));
  annotate("aro", number(face.annotated_va.arousal));
}

std::string csv_path(const std::string& split, std::size_t id) {
  return fmt::format("images/{}/{}.jpg", split, id);
}

void write_csv(const SynthOptions& options, const std::string& root, const Split& split) {
  std::string text = "path,class,valence,arousal\n";
  for (std::size_t i = 0; i < split.labels.size(); ++i) {
    const SynthFace face = synth_annotation(
        options, split.first_index + static_cast<std::uint32_t>(i), split.labels[i]);
    text += fmt::format("{},{},{},{}\n", csv_path(split.name, i), face.label,
                        number(face.annotated_va.valence), number(face.annotated_va.arousal));
  }
  write_text(fmt::format("{}/{}.csv", root, split.name), text);
}

/// Counts finished faces and passes them on, a hundred times a set.
class Meter {
 public:
  Meter(const SynthProgress& progress, std::size_t total)
      : progress_(progress), total_(total), step_(std::max<std::size_t>(total / 100, 1)) {}
  void one_done() {
    const std::scoped_lock lock(mutex_);
    ++done_;
    if (progress_ && (done_ % step_ == 0 || done_ == total_)) progress_(done_, total_);
  }

 private:
  const SynthProgress& progress_;
  std::size_t total_, step_, done_ = 0;
  std::mutex mutex_;
};

}  // namespace

std::vector<int> synth_class_counts(int n, double balance) {
  std::vector<double> share;
  double sum = 0;
  for (int count : kAffectNetTrainCounts) sum += share.emplace_back(std::pow(count, balance));
  std::vector<int> counts;
  std::vector<std::size_t> order;
  int rest = n;
  for (double& s : share) {
    s *= n / sum;
    counts.push_back(static_cast<int>(s));
    rest -= counts.back();
    s -= counts.back();
    order.push_back(order.size());
  }
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return share[a] > share[b]; });
  for (int i = 0; i < rest; ++i) ++counts[order[static_cast<std::size_t>(i) % order.size()]];
  return counts;
}

std::vector<int> synth_train_labels(const SynthSetOptions& o) {
  return shuffled_labels(synth_class_counts(o.train, o.balance), o.face.seed, 0);
}

std::vector<int> synth_val_labels(const SynthSetOptions& o) {
  return shuffled_labels(synth_class_counts(o.val, 0), o.face.seed, kSynthValidationIndex);
}

void write_synthetic(const SynthSetOptions& options, const std::string& out_dir,
                     const SynthProgress& progress) {
  check(options);
  OutputFolder folder(out_dir, options.overwrite);
  const bool csv = options.layout == SynthLayout::csv;
  const std::vector<Split> splits = {{"train", 0, synth_train_labels(options)},
                                     {"val", kSynthValidationIndex, synth_val_labels(options)}};
  const int processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  const int threads = options.threads > 0 ? options.threads : processors;
  Meter meter(progress, splits[0].labels.size() + splits[1].labels.size());
  for (const Split& split : splits) {
    if (csv) {
      folder.make("images/" + split.name);
      write_csv(options.face, folder.path(), split);
    } else {
      folder.make(split.name + "_set/images");
      folder.make(split.name + "_set/annotations");
    }
    parallel_for(split.labels.size(), threads, 8, [&](std::size_t i) {
      const SynthFace face = synth_face(
          options.face, split.first_index + static_cast<std::uint32_t>(i), split.labels[i]);
      if (csv)
        write_plain(folder.path() + "/" + csv_path(split.name, i),
                    encode_jpeg(face.image, options.jpeg_quality));
      else
        write_affectnet(folder.path(), split.name, i, face, options.jpeg_quality);
      meter.one_done();
    });
  }
  folder.publish();
}

}  // namespace affuse
