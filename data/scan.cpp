// The scan: decodes in parallel, remembers, counts, leaves out.
#include "data/scan.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "data/csv.h"
#include "data/parallel.h"
#include "data/scan_results.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

/// What the scan found out about one image.
struct Verdict {
  FileStamp stamp;
  std::string reason;     // empty: good
  bool decoded = false;   // looked at now
  bool remember = false;  // a property of the file's bytes, not of reading them
};

std::string without_prefix(const std::string& text, const std::string& path) {
  const std::string prefix = path + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

/// Decodes one image, and keeps it resized where a cache is given.
Verdict look_at(const std::string& path, std::size_t i, const ImageLimits& limits,
                ImageCache* images) {
  Verdict verdict{{}, {}, true, false};
  std::vector<std::uint8_t> bytes;
  try {
    bytes = read_file(path, limits.max_file_bytes);
    verdict.remember = true;
    Image image = decode_image(bytes, path, limits);
    if (images == nullptr) return verdict;
    const int size = images->size();
    if (image.width != size || image.height != size) image = resize_image(image, size, size);
    images->store(i, image.rgb);
  } catch (const DataError& e) {
    verdict.reason = without_prefix(e.what(), path);
  }
  return verdict;
}

void check_fraction(const std::vector<BadImage>& bad, std::size_t total, double allowed) {
  const double share =
      total == 0 ? 0 : static_cast<double>(bad.size()) / static_cast<double>(total);
  if (share <= allowed && bad.size() < total) return;
  std::string first;
  for (std::size_t i = 0; i < std::min<std::size_t>(bad.size(), 3); ++i) {
    first += fmt::format("{}{} ({})", i == 0 ? "" : ", ", bad[i].path, bad[i].reason);
  }
  if (share <= allowed)
    throw DataError(fmt::format("none of {} images can be read: {}{}", total, first,
                                bad.size() > 3 ? ", ..." : ""));
  throw DataError(fmt::format(
      "{} of {} images are bad ({:.2f} %, data.max_bad_fraction allows "
      "{:.2f} %): {}{}; repair them, take them out or raise the limit",
      bad.size(), total, 100 * share, 100 * allowed, first, bad.size() > 3 ? ", ..." : ""));
}

/// Removes the samples at ascending indices.
void remove_samples(std::vector<Sample>& samples, const std::vector<std::size_t>& indices) {
  std::size_t to = 0;
  auto skip = indices.begin();
  for (std::size_t from = 0; from < samples.size(); ++from) {
    if (skip != indices.end() && *skip == from) {
      ++skip;
    } else if (const std::size_t at = to++; at != from) {
      samples[at] = std::move(samples[from]);
    }
  }
  samples.resize(to);
}

/// Looks at every image that `known` does not have, on several threads.
std::vector<Verdict> look_at_all(const Manifest& manifest, const ScanOptions& options,
                                 const ScanResults& known, ImageCache* images) {
  const std::size_t total = manifest.samples.size();
  std::vector<Verdict> verdicts(total);
  std::atomic<std::size_t> done{0};
  parallel_for(total, options.threads, 1, [&](std::size_t i) {
    const std::string path = manifest.full_path(manifest.samples[i]);
    const auto stamp = file_stamp(path);
    const std::string* reason = stamp ? known.find(path, *stamp) : nullptr;
    verdicts[i] = reason != nullptr ? Verdict{{}, *reason, false, false}
                                    : look_at(path, i, options.limits, images);
    verdicts[i].stamp = stamp.value_or(FileStamp{});
    verdicts[i].remember &= stamp.has_value();
    const std::size_t count = done.fetch_add(1) + 1;
    if (options.progress) options.progress(count, total);
  });
  return verdicts;
}

}  // namespace

ScanResult scan_images(Manifest& manifest, const ScanOptions& options, ImageCache* images) {
  ScanResults known(options.results_file, options.limits);
  std::vector<Verdict> verdicts = look_at_all(manifest, options, known, images);

  ScanResult result;
  std::vector<std::size_t> bad;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    Verdict& verdict = verdicts[i];
    const Sample& sample = manifest.samples[i];
    result.decoded += verdict.decoded;
    if (verdict.remember) known.set(manifest.full_path(sample), verdict.stamp, verdict.reason);
    if (verdict.reason.empty()) continue;
    bad.push_back(i);
    result.bad.push_back({sample.path, std::move(verdict.reason)});
  }
  known.save();
  check_fraction(result.bad, verdicts.size(), options.max_bad_fraction);
  if (!bad.empty()) {
    log_warning(fmt::format("{} of {} images are bad and left out", bad.size(), verdicts.size()));
    remove_samples(manifest.samples, bad);
    if (images != nullptr) images->remove(bad);
  }
  return result;
}

void write_skipped(const std::string& path, const std::vector<BadImage>& bad) {
  std::string text = "path,reason\n";
  for (const BadImage& image : bad) {
    text += csv_field(image.path) + "," + csv_field(image.reason) + "\n";
  }
  write_file_atomic(path, text);
}

}  // namespace affuse
