// Manifests as csv and the three ways to split them: by column, by subject, in two files.
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "data/manifest.h"
#include "data/manifest_rows.h"
#include "data/split.h"
#include "engine/error.h"
#include "engine/log.h"

namespace affuse {
namespace {

Manifest like(const Manifest& manifest) { return {manifest.root, manifest.classes, {}}; }

DataSplits split_by_column(ManifestRows rows, const std::string& name) {
  DataSplits out{like(rows.manifest), like(rows.manifest)};
  std::size_t test = 0;
  for (std::size_t i = 0; i < rows.sides.size(); ++i) {
    if (rows.sides[i] == Side::test) {
      ++test;
      continue;
    }
    Manifest& half = rows.sides[i] == Side::val ? out.val : out.train;
    half.samples.push_back(std::move(rows.manifest.samples[i]));
  }
  if (test > 0) log_info(fmt::format("{}: {} test rows left out", name, test));
  return out;
}

DataSplits split_by_subjects(ManifestRows rows, const DataSource& source) {
  std::vector<std::string> subjects;
  for (const Sample& s : rows.manifest.samples) {
    if (s.subject.empty()) {
      throw DataError(fmt::format("{}:{}: subject: is empty, and the split needs it", source.train,
                                  rows.lines[subjects.size()]));
    }
    subjects.push_back(s.subject);
  }
  SplitIndices split;
  try {
    split = split_by_subject(subjects, source.val_fraction, source.seed);
  } catch (const DataError& e) {
    throw DataError(source.train + ": subject: " + e.what());
  }
  DataSplits out{like(rows.manifest), like(rows.manifest)};
  auto& all = rows.manifest.samples;
  for (const std::size_t i : split.train) out.train.samples.push_back(std::move(all[i]));
  for (const std::size_t i : split.val) out.val.samples.push_back(std::move(all[i]));
  return out;
}

/// In two files a split column may only say what the file is.
void require_side(const ManifestRows& rows, const std::string& path, Side side, const char* half) {
  for (std::size_t i = 0; i < rows.sides.size(); ++i) {
    if (rows.sides[i] == side) continue;
    throw DataError(
        fmt::format("{}:{}: split: not {}, but the file is data.{}; to split by column, "
                    "leave data.val empty",
                    path, rows.lines[i], half, half));
  }
}

/// Samples or subjects on both sides make the measures look too good, so the user is told.
void warn_of_leaks(const DataSplits& splits, const std::string& name) {
  std::unordered_set<std::string> paths, subjects;
  for (const Sample& s : splits.train.samples) {
    paths.insert(splits.train.full_path(s));
    if (!s.subject.empty()) subjects.insert(s.subject);
  }
  std::size_t images = 0;
  std::unordered_set<std::string> both;
  for (const Sample& s : splits.val.samples) {
    images += paths.contains(splits.val.full_path(s));
    if (subjects.contains(s.subject)) both.insert(s.subject);
  }
  if (images > 0)
    log_warning(fmt::format("{}: {} images in training and validation", name, images));
  if (!both.empty()) {
    log_warning(fmt::format("{}: {} subjects in training and validation", name, both.size()));
  }
}

DataSplits open_two_files(const DataSource& source) {
  ManifestRows train = read_manifest_rows(source.train, source.classes, source.root);
  ManifestRows val = read_manifest_rows(source.val, source.classes, source.root);
  require_side(train, source.train, Side::train, "train");
  require_side(val, source.val, Side::val, "val");
  return {std::move(train.manifest), std::move(val.manifest)};
}

DataSplits open_one_file(const DataSource& source) {
  ManifestRows rows = read_manifest_rows(source.train, source.classes, source.root);
  if (!rows.sides.empty()) return split_by_column(std::move(rows), source.train);
  if (rows.has_subjects) return split_by_subjects(std::move(rows), source);
  throw DataError(source.train +
                  ":1: nothing to split by; add a column split or subject, or set data.val");
}

}  // namespace

Manifest read_csv_manifest(const std::string& path, std::vector<std::string> classes,
                           std::string root) {
  return std::move(read_manifest_rows(path, std::move(classes), std::move(root)).manifest);
}

DataSplits open_csv(const DataSource& source) {
  if (source.classes.empty())
    throw ConfigError("data.classes: is empty; name the classes in order");
  DataSplits splits = source.val.empty() ? open_one_file(source) : open_two_files(source);
  warn_of_leaks(splits, source.train);
  return splits;
}

}  // namespace affuse
