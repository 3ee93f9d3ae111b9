// AffectNet-8 of March 2021: images/N.jpg beside annotations/N_exp.npy, N_val.npy, N_aro.npy.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "data/affectnet.h"
#include "data/manifest.h"
#include "data/npy.h"
#include "data/parallel.h"
#include "engine/error.h"
#include "engine/log.h"
#include "engine/text.h"

namespace affuse {
namespace {

constexpr int kContempt = 7;
constexpr double kNoAffect = -2;

struct Entry {
  std::uint64_t id;
  std::string file;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return out;
}

std::string_view stem_of(std::string_view file) { return file.substr(0, file.rfind('.')); }

/// N of "N.jpg" (.jpeg, .png, any case), or false.
bool parse_id(std::string_view file, std::uint64_t& id) {
  const std::string_view stem = stem_of(file);
  if (stem.size() == file.size()) return false;
  const std::string extension = lower(file.substr(stem.size()));
  if (extension != ".jpg" && extension != ".jpeg" && extension != ".png") return false;
  const auto [end, code] = std::from_chars(stem.data(), stem.data() + stem.size(), id);
  return code == std::errc() && end == stem.data() + stem.size();
}

/// The images of a folder by ascending id, from one listing of it.
std::vector<Entry> list_images(const std::string& folder) {
  std::error_code code;
  std::vector<Entry> entries;
  std::size_t others = 0;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code)) {
    Entry entry{0, it->path().filename().string()};
    if (parse_id(entry.file, entry.id)) {
      entries.push_back(std::move(entry));
    } else {
      ++others;
    }
  }
  if (code)
    throw DataError(folder + ": cannot be listed: " + code.message() +
                    "; data.root is the folder that holds train_set and val_set");
  if (others > 0) log_warning(fmt::format("{}: {} names are not N.jpg or N.png", folder, others));
  if (entries.empty()) throw DataError(folder + ": holds no image N.jpg or N.png");

  std::ranges::sort(entries, {}, [](const Entry& e) { return std::tie(e.id, e.file); });
  const auto twin = std::ranges::adjacent_find(entries, {}, &Entry::id);
  if (twin != entries.end()) {
    throw DataError(fmt::format("{}: {} and {} have the same id", folder, in_quotes(twin->file),
                                in_quotes((twin + 1)->file)));
  }
  return entries;
}

/// The one number of an annotation file, which the release stores as text.
double annotation(const std::string& path) {
  const NpyArray array = read_npy(path);
  if (array.shape.size() > 1 || array.count() != 1) {
    throw DataError(
        fmt::format("{}: shape ({}) holds no single value", path, fmt::join(array.shape, ", ")));
  }
  return array.number();
}

int expression(const std::string& path) {
  const double value = annotation(path);
  if (!(value >= 0 && value < kAffectNetClasses && value == std::floor(value))) {
    throw DataError(fmt::format("{}: expression {} is none of 0..7", path, value));
  }
  return static_cast<int>(value);
}

double affect(const std::string& path) {
  const double value = annotation(path);
  if (value == kNoAffect) return std::numeric_limits<double>::quiet_NaN();
  if (!(value >= -1 && value <= 1)) {
    throw DataError(fmt::format("{}: {} is outside [-1, 1] and not -2", path, value));
  }
  return value;
}

/// Names may be the user's own, but a known name must not stand at another place.
void check_classes(const std::vector<std::string>& classes) {
  if (classes.size() != 7 && classes.size() != 8) {
    throw DataError(
        fmt::format("data.classes: {} names, but affectnet_npy has 8 (7 without "
                    "Contempt)",
                    classes.size()));
  }
  for (std::size_t k = 0; k < classes.size(); ++k) {
    const auto known = std::ranges::find(kAffectNetNames, lower(classes[k]), lower);
    const auto place = static_cast<std::size_t>(known - kAffectNetNames.begin());
    if (known != kAffectNetNames.end() && place != k) {
      throw DataError(fmt::format("data.classes: {} stands at {}, but affectnet_npy has it at {}",
                                  in_quotes(classes[k]), k, place));
    }
  }
}

}  // namespace

Manifest read_affectnet_npy(const std::string& root, const std::string& split,
                            const std::vector<std::string>& classes, int threads) {
  check_classes(classes);
  const std::string base = root + "/" + split;
  const std::vector<Entry> entries = list_images(base + "/images");

  Manifest manifest{root, classes, std::vector<Sample>(entries.size())};
  parallel_for(entries.size(), threads, 64, [&](std::size_t i) {
    const std::string& file = entries[i].file;
    const std::string stem = fmt::format("{}/annotations/{}", base, stem_of(file));
    Sample& s = manifest.samples[i];
    s.path = split + "/images/" + file;
    s.label = expression(stem + "_exp.npy");
    s.valence = affect(stem + "_val.npy");
    s.arousal = affect(stem + "_aro.npy");
  });

  std::size_t left_out = 0;
  if (classes.size() == 7) {
    left_out =
        std::erase_if(manifest.samples, [](const Sample& s) { return s.label == kContempt; });
  }
  log_info(fmt::format("{}: {} samples{}", base, manifest.samples.size(),
                       left_out > 0 ? fmt::format(", {} of Contempt left out", left_out) : ""));
  return manifest;
}

DataSplits open_affectnet_npy(const DataSource& source) {
  return {read_affectnet_npy(source.root, "train_set", source.classes, source.threads),
          read_affectnet_npy(source.root, "val_set", source.classes, source.threads)};
}

}  // namespace affuse
