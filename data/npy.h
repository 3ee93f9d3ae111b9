// NumPy .npy files, versions 1.0 to 3.0 (formats.md): a strict reader and a small writer.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace affuse {

/// A decoded array: the raw bytes in C order with their type and shape.
struct NpyArray {
  char kind = 'f';            ///< 'f' float, 'i' int, 'u' unsigned, 'b' bool, 'U' UTF-32, 'S' bytes
  std::size_t item_size = 8;  ///< bytes an element (4 bytes a character for 'U')
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;

  std::size_t count() const;                 ///< product of shape; 1 for rank 0
  double number(std::size_t i = 0) const;    ///< element as a number; strings are parsed strictly
  std::string text(std::size_t i = 0) const; ///< element as text (numbers printed)
};

/// Parses the bytes of a file. `name` stands in the error. Throws DataError.
NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& name);
NpyArray read_npy(const std::string& path);

/// Bytes of a version 1.0 file.
std::vector<std::uint8_t> npy_bytes(const NpyArray& array);
/// A rank-0 unicode string, as AffectNet-8 stores its annotations ('0.785714').
NpyArray npy_string(const std::string& ascii);
/// A float32 array of the given shape.
NpyArray npy_float(std::span<const float> values, std::vector<std::int64_t> shape);

}  // namespace affuse
