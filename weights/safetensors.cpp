// Tensors of a safetensors file as numbers, and the table of element types.
#include "weights/safetensors.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/error.h"
#include "engine/text.h"

namespace affuse {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

struct Row {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<Row, 15> dtypes{{{"BOOL", 1},
                                      {"U8", 1},
                                      {"I8", 1},
                                      {"F8_E5M2", 1},
                                      {"F8_E4M3", 1},
                                      {"I16", 2},
                                      {"U16", 2},
                                      {"F16", 2},
                                      {"BF16", 2},
                                      {"I32", 4},
                                      {"U32", 4},
                                      {"F32", 4},
                                      {"F64", 8},
                                      {"I64", 8},
                                      {"U64", 8}}};

/// binary16 bits to float: exact.
float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu, mantissa = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -subnormal : subnormal;
}

/// Calls `put(element)` for each element of type T.
template <class T, class Put>
void each(std::span<const std::uint8_t> bytes, const Put& put) {
  for (; bytes.size() >= sizeof(T); bytes = bytes.subspan(sizeof(T))) {
    T element;
    std::memcpy(&element, bytes.data(), sizeof(T));
    put(element);
  }
}

/// Calls `put` with each element of an integer tensor; false if the dtype is another.
template <class Put>
bool each_integer(const SafetensorsEntry& entry, const Put& put) {
  if (entry.dtype == "I64")
    each<std::int64_t>(entry.bytes, put);
  else if (entry.dtype == "U64")
    each<std::uint64_t>(entry.bytes, put);
  else if (entry.dtype == "I32")
    each<std::int32_t>(entry.bytes, put);
  else if (entry.dtype == "U32")
    each<std::uint32_t>(entry.bytes, put);
  else if (entry.dtype == "I16")
    each<std::int16_t>(entry.bytes, put);
  else if (entry.dtype == "U16")
    each<std::uint16_t>(entry.bytes, put);
  else if (entry.dtype == "I8")
    each<std::int8_t>(entry.bytes, put);
  else if (entry.dtype == "U8" || entry.dtype == "BOOL")
    each<std::uint8_t>(entry.bytes, put);
  else
    return false;
  return true;
}

/// A double as float without the undefined conversion of values beyond float's range.
float narrow(double x) {
  constexpr double largest = std::numeric_limits<float>::max();
  // Above the midpoint to 2^128 the nearest float is infinity.
  if (std::abs(x) > largest)
    return std::copysign(std::abs(x) < 0x1.ffffffp+127 ? std::numeric_limits<float>::max()
                                                       : std::numeric_limits<float>::infinity(),
                         static_cast<float>(std::copysign(1.0, x)));
  return static_cast<float>(x);
}

}  // namespace

std::optional<std::size_t> safetensors_dtype_size(std::string_view dtype) {
  for (const Row& row : dtypes)
    if (row.name == dtype) return row.size;
  return std::nullopt;
}

std::string_view safetensors_dtype(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::bf16:
      return "BF16";
    case DType::f16:
      return "F16";
    case DType::f64:
      return "F64";
    case DType::u8:
      return "U8";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
  }
  return "?";
}

std::optional<std::size_t> safetensors_bytes(std::string_view dtype,
                                             std::span<const std::int64_t> shape) {
  const auto size = safetensors_dtype_size(dtype);
  if (!size) return std::nullopt;
  auto bytes = static_cast<std::int64_t>(*size);
  for (const std::int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  return static_cast<std::size_t>(bytes);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::uint8_t> bytes,
                                       const std::string& name) {
  SafetensorsFile file;
  SafetensorsContents contents = parse_safetensors(bytes, name);
  file.path_ = name;
  file.metadata_ = std::move(contents.metadata);
  file.entries_ = std::move(contents.entries);
  for (std::size_t i = 0; i < file.entries_.size(); ++i) file.index_[file.entries_[i].name] = i;
  return file;
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  auto map = std::make_shared<const MappedFile>(path);
  SafetensorsFile file = parse(map->bytes(), path);
  file.map_ = std::move(map);
  return file;
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

const SafetensorsEntry& SafetensorsFile::at(const std::string& name) const {
  if (const Entry* entry = find(name)) return *entry;
  throw WeightsError(fmt::format("{}: has no tensor {}", path_, in_quotes(name)));
}

std::vector<float> SafetensorsFile::floats(const std::string& name) const {
  const Entry& entry = at(name);
  std::vector<float> out;
  out.reserve(entry.bytes.size() / *safetensors_dtype_size(entry.dtype));
  if (entry.dtype == "F32") {
    out.resize(entry.bytes.size() / sizeof(float));
    if (!out.empty()) std::memcpy(out.data(), entry.bytes.data(), entry.bytes.size());
  } else if (entry.dtype == "F64")
    each<double>(entry.bytes, [&out](double x) { out.push_back(narrow(x)); });
  else if (entry.dtype == "BF16")
    each<std::uint16_t>(entry.bytes, [&out](std::uint16_t x) { out.push_back(to_float(Bf16{x})); });
  else if (entry.dtype == "F16")
    each<std::uint16_t>(entry.bytes, [&out](std::uint16_t x) { out.push_back(half_to_float(x)); });
  else if (!each_integer(entry, [&out](auto x) { out.push_back(static_cast<float>(x)); }))
    throw WeightsError(fmt::format("{}: tensor {}: {} is not supported; convert it to F32 or BF16",
                                   path_, in_quotes(name), entry.dtype));
  return out;
}

std::vector<std::int64_t> SafetensorsFile::integers(const std::string& name) const {
  const Entry& entry = at(name);
  std::vector<std::int64_t> out;
  out.reserve(entry.bytes.size() / *safetensors_dtype_size(entry.dtype));
  const bool integral = each_integer(entry, [&](auto x) {
    if (!std::in_range<std::int64_t>(x))
      throw WeightsError(fmt::format("{}: tensor {}: {} does not fit in 64 signed bits", path_,
                                     in_quotes(name), x));
    out.push_back(static_cast<std::int64_t>(x));
  });
  if (!integral)
    throw WeightsError(fmt::format("{}: tensor {}: is {}, expected integers", path_,
                                   in_quotes(name), entry.dtype));
  return out;
}

}  // namespace affuse
