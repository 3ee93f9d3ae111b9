// The in-memory image cache; a slot's state publishes its bytes (release, acquire).
#include "data/image_cache.h"

#include <algorithm>

namespace affuse {

void load_square(const std::string& path, int size, const ImageLimits& limits,
                 std::span<std::uint8_t> out) {
  Image image = read_image(path, limits);
  if (image.width != size || image.height != size) image = resize_image(image, size, size);
  std::ranges::copy(image.rgb, out.begin());
}

std::shared_ptr<ImageCache> ImageCache::create(std::size_t samples, int size,
                                               std::uint64_t max_bytes) {
  const auto side = static_cast<std::uint64_t>(size);
  if (samples == 0 || max_bytes / samples < side * side * 3) return nullptr;
  return std::make_shared<ImageCache>(samples, size);
}

ImageCache::ImageCache(std::size_t samples, int size)
    : size_(size),
      samples_(samples),
      image_bytes_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3),
      bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(samples * image_bytes_)),
      states_(std::make_unique<std::atomic<std::uint8_t>[]>(samples)) {}

bool ImageCache::read(std::size_t i, std::span<std::uint8_t> out) const {
  if (states_[i].load(std::memory_order_acquire) != ready) return false;
  std::copy_n(at(i), image_bytes_, out.begin());
  return true;
}

void ImageCache::store(std::size_t i, std::span<const std::uint8_t> image) {
  std::uint8_t expected = empty;
  if (!states_[i].compare_exchange_strong(expected, writing, std::memory_order_relaxed)) return;
  std::copy_n(image.begin(), image_bytes_, at(i));
  states_[i].store(ready, std::memory_order_release);
}

void ImageCache::remove(std::span<const std::size_t> indices) {
  std::size_t to = 0;
  auto skip = indices.begin();
  for (std::size_t from = 0; from < samples_; ++from) {
    if (skip != indices.end() && *skip == from) {
      ++skip;
      continue;
    }
    if (to != from) {
      const std::uint8_t state = states_[from].load();
      if (state == ready) std::copy_n(at(from), image_bytes_, at(to));
      states_[to].store(state);
    }
    ++to;
  }
  samples_ = to;
}

}  // namespace affuse
