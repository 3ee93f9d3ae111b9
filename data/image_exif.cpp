// Bounds-checked reader of EXIF orientation (TIFF 6.0 section 2; EXIF 2.3 tag 0x0112).
#include "data/image_exif.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace affuse {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kTypeShort = 3;
constexpr std::size_t kEntryBytes = 12;

/// Unsigned integers of either byte order out of a TIFF block.
class TiffView {
 public:
  TiffView(std::span<const std::uint8_t> bytes, bool big) : bytes_(bytes), big_(big) {}

  bool holds(std::size_t offset, std::size_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  /// `count` bytes at `offset`, which must be held.
  std::uint32_t integer(std::size_t offset, std::size_t count) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8 | bytes_[offset + (big_ ? i : count - 1 - i)];
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool big_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> tiff) {
  if (tiff.size() < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  const TiffView view(tiff, tiff[0] == 'M');
  if (view.integer(2, 2) != 42) return 1;
  const std::size_t directory = view.integer(4, 4);
  if (!view.holds(directory, 2)) return 1;
  const std::size_t entries = view.integer(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (!view.holds(entry, kEntryBytes)) return 1;
    if (view.integer(entry, 2) != kOrientationTag) continue;
    if (view.integer(entry + 2, 2) != kTypeShort || view.integer(entry + 4, 4) != 1) return 1;
    const std::uint32_t value = view.integer(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int app1_orientation(std::span<const std::uint8_t> payload) {
  constexpr std::array<std::uint8_t, 6> kExif = {'E', 'x', 'i', 'f', 0, 0};
  if (payload.size() < kExif.size() || !std::equal(kExif.begin(), kExif.end(), payload.begin()))
    return 1;
  return exif_orientation(payload.subspan(kExif.size()));
}

}  // namespace affuse
