// The header of a .npy file. Private to this folder.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace affuse {

/// What the header literal says.
struct NpyHeader {
  char kind = 0;
  std::size_t item_size = 0;  ///< bytes an element, at least 1
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Parses the Python dict literal {'descr': '...', 'fortran_order': ..., 'shape': (...)}, with
/// exactly these keys. Throws DataError; `name` is the file.
NpyHeader parse_npy_header(std::string_view literal, const std::string& name);

}  // namespace affuse
