// NumPy .npy files: frame, elements and writer. The header literal is parsed in npy_header.cpp.
#include "data/npy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "data/npy_header.h"
#include "data/number.h"
#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

constexpr std::array<std::uint8_t, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};

[[noreturn]] void fail(const std::string& name, std::string_view reason) {
  throw DataError(fmt::format("{}: bad .npy file: {}", name, reason));
}

std::uint64_t little(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

template <class T>
T as(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Product of `shape` and `item`; throws on overflow.
std::uint64_t total_bytes(const std::vector<std::int64_t>& shape, std::size_t item,
                          const std::string& name) {
  std::uint64_t total = item;
  for (const std::int64_t dimension : shape)
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(dimension), &total))
      fail(name, "the shape is too large");
  return total;
}

void append_utf8(std::string& out, std::uint32_t code, const std::string& name) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
    fail(name, fmt::format("U+{:X} is not a character", code));
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr std::array<std::uint32_t, 4> kLead = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[static_cast<std::size_t>(tail)] | code >> (6 * tail));
  for (int i = tail - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

std::string string_element(const NpyArray& array, const std::uint8_t* bytes) {
  const std::size_t unit = array.kind == 'U' ? 4 : 1;
  std::size_t length = array.item_size / unit;
  while (length > 0 && little(bytes + (length - 1) * unit, unit) == 0) --length;
  if (unit == 1) return {bytes, bytes + length};
  std::string out;
  for (std::size_t i = 0; i < length; ++i)
    append_utf8(out, static_cast<std::uint32_t>(little(bytes + i * 4, 4)), array.name);
  return out;
}

const std::uint8_t* element(const NpyArray& array, std::size_t i) {
  if (array.item_size == 0 || i >= array.bytes.size() / array.item_size)
    throw DataError(fmt::format("{}: no element {} in an array of {}", array.name, i,
                                array.item_size == 0 ? 0 : array.bytes.size() / array.item_size));
  return array.bytes.data() + i * array.item_size;
}

std::int64_t signed_element(const std::uint8_t* bytes, std::size_t size) {
  const int unused = static_cast<int>(64 - 8 * size);
  return static_cast<std::int64_t>(little(bytes, size) << unused) >> unused;
}

}  // namespace

std::size_t NpyArray::count() const {
  return std::accumulate(
      shape.begin(), shape.end(), std::size_t{1},
      [](std::size_t product, std::int64_t n) { return product * static_cast<std::size_t>(n); });
}

double NpyArray::number(std::size_t i) const {
  const std::uint8_t* at = element(*this, i);
  switch (kind) {
    case 'f':
      return item_size == 4 ? double{as<float>(at)} : as<double>(at);
    case 'i':
      return static_cast<double>(signed_element(at, item_size));
    case 'u':
    case 'b':
      return static_cast<double>(little(at, item_size));
    default:
      break;
  }
  const std::string found = string_element(*this, at);
  if (const auto value = parse_finite(found)) return *value;
  throw DataError(
      fmt::format("{}: element {} is {:?}, not a finite number", name, i, found.substr(0, 40)));
}

std::string NpyArray::text(std::size_t i) const {
  const std::uint8_t* at = element(*this, i);
  switch (kind) {
    case 'f':
      return item_size == 4 ? fmt::format("{}", as<float>(at)) : fmt::format("{}", as<double>(at));
    case 'i':
      return fmt::format("{}", signed_element(at, item_size));
    case 'u':
    case 'b':
      return fmt::format("{}", little(at, item_size));
    default:
      return string_element(*this, at);
  }
}

NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& name) {
  if (bytes.size() < 10 || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
    fail(name, bytes.empty() ? "the file is empty" : "it does not start as a .npy file");
  const unsigned major = bytes[6];
  if (major < 1 || major > 3 || bytes[7] != 0)
    fail(name, fmt::format("version {}.{} is not known", major, bytes[7]));
  const std::size_t length_bytes = major == 1 ? 2 : 4, start = 8 + length_bytes;
  if (bytes.size() < start) fail(name, "it is cut off in the header");
  const std::uint64_t length = little(&bytes[8], length_bytes);
  if (length > bytes.size() - start) fail(name, "it is cut off in the header");
  const std::string literal(bytes.begin() + static_cast<std::ptrdiff_t>(start),
                            bytes.begin() + static_cast<std::ptrdiff_t>(start + length));
  NpyHeader header = parse_npy_header(literal, name);
  if (header.fortran_order && header.shape.size() > 1)
    fail(name, "Fortran order; save with numpy.ascontiguousarray");
  const auto data = bytes.subspan(start + length);
  const std::uint64_t wanted = total_bytes(header.shape, header.item_size, name);
  if (wanted != data.size())
    fail(name,
         fmt::format("the header asks for {} bytes of data, {} are there", wanted, data.size()));
  return {header.kind, header.item_size, std::move(header.shape), {data.begin(), data.end()}, name};
}

NpyArray read_npy(const std::string& path) { return parse_npy(read_file(path), path); }

std::vector<std::uint8_t> npy_bytes(const NpyArray& array) {
  if (total_bytes(array.shape, array.item_size, array.name) != array.bytes.size())
    throw Error(fmt::format("{}: {} bytes do not fit the shape", array.name, array.bytes.size()));
  const bool plain = array.kind == 'S' || array.kind == 'b' || array.item_size == 1;
  std::string header =
      fmt::format("{{'descr': '{}{}{}', 'fortran_order': False, 'shape': (", plain ? '|' : '<',
                  array.kind, array.kind == 'U' ? array.item_size / 4 : array.item_size);
  for (const std::int64_t dimension : array.shape) header += fmt::format("{}, ", dimension);
  if (array.shape.size() > 1) header.resize(header.size() - 2);
  if (array.shape.size() == 1) header.pop_back();
  header += "), }";
  // Data starts at a multiple of 64, as NumPy writes it.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::vector<std::uint8_t> out(kMagic.begin(), kMagic.end());
  out.reserve(10 + header.size() + array.bytes.size());
  for (const std::size_t b :
       {std::size_t{1}, std::size_t{0}, header.size() & 255, header.size() >> 8})
    out.push_back(static_cast<std::uint8_t>(b));
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), array.bytes.begin(), array.bytes.end());
  return out;
}

NpyArray npy_string(const std::string& ascii) {
  NpyArray array{'U', std::max<std::size_t>(ascii.size(), 1) * 4, {}, {}};
  array.bytes.resize(array.item_size);
  for (std::size_t i = 0; i < ascii.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(ascii[i]);
    if (c >= 0x80) throw Error(fmt::format("{:?} is not ASCII", ascii));
    array.bytes[i * 4] = c;
  }
  return array;
}

NpyArray npy_float(std::span<const float> values, std::vector<std::int64_t> shape) {
  NpyArray array{'f', sizeof(float), std::move(shape), {}};
  array.bytes.resize(values.size_bytes());
  if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), values.size_bytes());
  if (total_bytes(array.shape, array.item_size, array.name) != array.bytes.size())
    throw Error(fmt::format("{} values do not fit the shape", values.size()));
  return array;
}

}  // namespace affuse
