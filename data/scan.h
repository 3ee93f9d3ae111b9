// One pass over all images before training: bad ones are named and left out.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/image_cache.h"
#include "data/sample.h"

namespace affuse {

struct ScanOptions {
  int threads = 1;
  double max_bad_fraction = 0.01;  ///< of the samples; above it the scan throws
  ImageLimits limits;
  /// File that remembers results by path, size and modification time; empty: none. It may be
  /// shared by several manifests, one scan at a time. A file that cannot be used counts as absent.
  std::string results_file;
  /// Called with (images done, images in all) from any thread; an exception stops the scan.
  std::function<void(std::size_t, std::size_t)> progress;
};

/// An image that was left out.
struct BadImage {
  std::string path;    ///< as in the manifest
  std::string reason;  ///< one line, without the path
};

struct ScanResult {
  std::vector<BadImage> bad;  ///< in the manifest's order
  std::size_t decoded = 0;    ///< images decoded now; the others were known from results_file
};

/// Decodes every image once and removes the bad ones from `manifest`, and from `images`, which,
/// where given, keeps the decoded images (its samples are the manifest's). Throws DataError with
/// the count and the first three when too many are bad, or when none is left.
ScanResult scan_images(Manifest& manifest, const ScanOptions& options,
                       ImageCache* images = nullptr);

/// skipped.csv: `path,reason`, a row a bad image.
void write_skipped(const std::string& path, const std::vector<BadImage>& bad);

}  // namespace affuse
