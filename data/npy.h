// NumPy .npy files, versions 1.0 to 3.0 (formats.md): a strict reader and a small writer.
#pragma once
#include <cstddef>
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
  std::string name = "npy array";  ///< the file it came from, for messages

  /// Product of shape; 1 for rank 0.
  std::size_t count() const;
  /// Element i as a number. Throws DataError when i is out of range, or when a string is not a
  /// finite decimal number as a whole (parse_finite). Float elements may be NaN or infinite.
  double number(std::size_t i = 0) const;
  /// Element i as text, UTF-8 without trailing NULs; numbers are printed in their shortest form.
  std::string text(std::size_t i = 0) const;
};

/// Parses the bytes of a file. `name` stands in the error. Throws DataError for anything but a
/// whole array of <f4 <f8 <i1..8 <u1..8 |b1 <U* |S* (object, structured, complex, big-endian and
/// Fortran-ordered arrays are refused by name).
NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& name);
NpyArray read_npy(const std::string& path);

/// Bytes of a version 1.0 file.
std::vector<std::uint8_t> npy_bytes(const NpyArray& array);
/// A rank-0 unicode string, as AffectNet-8 stores its annotations ('0.785714').
NpyArray npy_string(const std::string& ascii);
/// A float32 array of the given shape.
NpyArray npy_float(std::span<const float> values, std::vector<std::int64_t> shape);

}  // namespace affuse
