// The safetensors format: a JSON header that names tensors, then their bytes (little-endian).
// https://github.com/huggingface/safetensors
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dtype.h"
#include "weights/mapped_file.h"

namespace affuse {

/// The format's limit on the header, in bytes.
inline constexpr std::size_t max_safetensors_header = 100'000'000;

/// The free strings of a file's `__metadata__`.
using Metadata = std::map<std::string, std::string>;

/// Bytes of one element of a dtype by the format's name (BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16,
/// F16, BF16, I32, U32, F32, F64, I64, U64); nothing if the format has no such dtype.
std::optional<std::size_t> safetensors_dtype_size(std::string_view dtype);

/// The format's name of an element type, for example "F32".
std::string_view safetensors_dtype(DType dtype);

/// One tensor of a file that was read or is to be written. `bytes` is borrowed and row-major; in a
/// file that was read it may lie at any alignment.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;  ///< Empty for a scalar; zeros are legal.
  std::span<const std::uint8_t> bytes;
};

/// A file whose header was checked whole: tensors lie inside, touch, and do not overlap. Copies
/// share the memory map.
class SafetensorsFile {
 public:
  using Entry = SafetensorsEntry;

  /// Maps the file. Throws WeightsError: `PATH: tensor 'NAME': REASON`.
  static SafetensorsFile open(const std::string& path);

  /// Reads from memory that outlives the result; `name` stands for the path in errors.
  static SafetensorsFile parse(std::span<const std::uint8_t> bytes, const std::string& name);

  const std::string& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  /// In the order of their bytes in the file.
  const std::vector<Entry>& entries() const { return entries_; }
  /// nullptr if there is no such tensor.
  const Entry* find(const std::string& name) const;

  /// A tensor as float, rounded to nearest from F64 and the integers; not for F8.
  /// Throws WeightsError: missing, F8.
  std::vector<float> floats(const std::string& name) const;
  /// A tensor of integers (BOOL, I*, U*). Throws WeightsError: missing, not integers, above int64.
  std::vector<std::int64_t> integers(const std::string& name) const;

 private:
  const Entry& at(const std::string& name) const;

  std::string path_;
  std::shared_ptr<const MappedFile> map_;
  Metadata metadata_;
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> index_;
};

/// What a header says about `bytes`, the whole file; the entries borrow from it.
struct SafetensorsContents {
  Metadata metadata;
  std::vector<SafetensorsEntry> entries;
};
/// Checks a file whole. Throws WeightsError, one message for each reason.
SafetensorsContents parse_safetensors(std::span<const std::uint8_t> bytes, const std::string& name);

/// Where the bytes of the first tensor start: at a multiple of 8, or of 4096 (a page) in data sets
/// that are used through their memory map.
enum class SafetensorsAlignment : std::size_t { word = 8, page = 4096 };

/// Sorts into the order that files are written in: element size descending, then name.
void sort_for_safetensors(std::vector<SafetensorsEntry>& tensors);

/// The first bytes of a file that holds `tensors` in the given order: length, header, padding.
/// Looks at names, dtypes and shapes only, so that a writer may stream the bytes after it.
/// Throws WeightsError: unknown dtype, negative or overflowing shape, duplicate or reserved name,
/// text that is not UTF-8, header above 100 MB.
std::string safetensors_header(std::span<const SafetensorsEntry> tensors, const Metadata& metadata,
                               SafetensorsAlignment alignment = SafetensorsAlignment::word);

/// Writes a file atomically, the tensors sorted; with `keep` an existing file gets that name.
/// Throws WeightsError as safetensors_header and for bytes that do not fit a shape; Error from
/// write_file_atomic.
void write_safetensors(const std::string& path, std::vector<SafetensorsEntry> tensors,
                       const Metadata& metadata,
                       SafetensorsAlignment alignment = SafetensorsAlignment::word,
                       const std::string& keep = {});

/// The bytes of a vector of numbers, for SafetensorsEntry::bytes.
template <class T>
std::span<const std::uint8_t> bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

/// A shape as text, for example [64,3,7,7].
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Bytes of a tensor; nothing if the dtype is unknown, a dimension negative, or the product
/// overflows int64.
std::optional<std::size_t> safetensors_bytes(std::string_view dtype,
                                             std::span<const std::int64_t> shape);

}  // namespace affuse
