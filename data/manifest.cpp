// The table of data set kinds.
#include "data/manifest.h"

#include <algorithm>

#include "engine/error.h"

namespace affuse {
namespace {

void require_samples(const Manifest& manifest, const char* half, const DataSource& source) {
  if (!manifest.samples.empty()) return;
  const std::string& place = source.kind == "csv" ? source.train : source.root;
  throw DataError(place + ": no sample for " + half);
}

}  // namespace

DataSplits open_data(const DataSource& source) {
  DataSplits splits;
  if (source.kind == "csv") {
    splits = open_csv(source);
  } else if (source.kind == "affectnet_npy") {
    splits = open_affectnet_npy(source);
  } else {
    throw ConfigError("data.kind: " + in_quotes(source.kind) + " is none of csv, affectnet_npy");
  }
  require_samples(splits.train, "training", source);
  require_samples(splits.val, "validation", source);
  return splits;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::string out = "'" + std::string(text.substr(0, longest));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return out + (text.size() > longest ? "...'" : "'");
}

}  // namespace affuse
