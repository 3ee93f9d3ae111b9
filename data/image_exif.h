// The one EXIF tag that matters for a picture's content: its orientation.
#pragma once
#include <cstdint>
#include <span>

namespace affuse {

/// Orientation (1-8) from a TIFF block (what follows "Exif\0\0" in APP1, or a PNG eXIf chunk).
/// Reads only the first directory, so loops cannot arise; anything malformed counts as 1.
int exif_orientation(std::span<const std::uint8_t> tiff);

/// The same from the payload of a JPEG APP1 segment; 1 when it is not EXIF (XMP, for example).
int app1_orientation(std::span<const std::uint8_t> payload);

}  // namespace affuse
