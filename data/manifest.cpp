// The table of data set kinds.
#include "data/manifest.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/text.h"

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

}  // namespace affuse
