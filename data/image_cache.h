// Decoded and resized images in memory, filled by the scan or by the first epoch.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace affuse {

/// Reads an image file and writes it resized as size x size RGB (HWC) to `out`
/// (size * size * 3 bytes). Throws DataError.
void load_square(const std::string& path, int size, const ImageLimits& limits,
                 std::span<std::uint8_t> out);

/// One image of size x size x 3 bytes for each sample of a manifest. Memory is touched when an
/// image is stored. read() and store() may run on any threads at once.
class ImageCache {
 public:
  /// Null when `samples` images of this size do not fit in max_bytes.
  static std::shared_ptr<ImageCache> create(std::size_t samples, int size, std::uint64_t max_bytes);

  ImageCache(std::size_t samples, int size);

  int size() const { return size_; }
  std::size_t samples() const { return samples_; }

  /// Copies image i to `out` when it is there.
  bool read(std::size_t i, std::span<std::uint8_t> out) const;
  void store(std::size_t i, std::span<const std::uint8_t> image);

  /// Removes samples (ascending indices); the ones behind them move up. Not to be run beside
  /// read() or store().
  void remove(std::span<const std::size_t> indices);

 private:
  enum State : std::uint8_t { empty, writing, ready };

  std::uint8_t* at(std::size_t i) const { return bytes_.get() + i * image_bytes_; }

  int size_;
  std::size_t samples_, image_bytes_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> states_;
};

}  // namespace affuse
