// The strict reader of safetensors headers: nlohmann/json's SAX parser drives a small state
// machine, so that duplicate keys and number types are seen, and nothing recurses.
#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/text.h"
#include "weights/safetensors.h"
#include "weights/utf8.h"

namespace affuse {
namespace {

constexpr std::size_t max_rank = 64;

/// An entry as the header spells it.
struct RawEntry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<std::uint64_t>> shape, offsets;
};

/// Receives the events of the header: root (level 1) > `__metadata__` or entry (2) > list (3).
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  Metadata metadata;
  std::vector<RawEntry> entries;

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a boolean"); }
  bool number_integer(number_integer_t) override { refuse("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override {
    const bool integral = text.find_first_of(".eE") == string_t::npos;
    refuse(integral ? "a number beyond 64 bits" : "a number that is not an integer");
  }
  bool binary(binary_t&) override { refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (level_ != 3) refuse("a number");
    auto& list = *(key_ == "shape" ? entries.back().shape : entries.back().offsets);
    if (list.size() == max_rank) fail(fmt::format("{} has more than {} numbers", key_, max_rank));
    list.push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (level_ == 2 && in_metadata_)
      metadata[key_] = std::move(value);
    else if (level_ == 2 && key_ == "dtype")
      entries.back().dtype = std::move(value);
    else
      refuse("a string");
    return true;
  }

  bool key(string_t& value) override {
    if (level_ == 1) {
      in_metadata_ = value == "__metadata__";
      if (!names_.insert(value).second)
        throw WeightsError(fmt::format("{}: header: duplicate key {}", file_, in_quotes(value)));
      if (!in_metadata_) entries.push_back(RawEntry{std::move(value), {}, {}, {}});
      return true;
    }
    key_ = std::move(value);
    if (in_metadata_) {
      if (metadata.contains(key_)) fail(fmt::format("duplicate key {}", in_quotes(key_)));
      return true;
    }
    const RawEntry& entry = entries.back();
    if (key_ != "dtype" && key_ != "shape" && key_ != "data_offsets")
      fail(fmt::format("unknown key {}", in_quotes(key_)));
    if (key_ == "dtype" ? entry.dtype.has_value()
                        : (key_ == "shape" ? entry.shape : entry.offsets).has_value())
      fail(fmt::format("duplicate key {}", in_quotes(key_)));
    return true;
  }

  bool start_object(std::size_t) override {
    if (level_ > 1) refuse("an object");
    ++level_;
    return true;
  }

  bool end_object() override {
    if (level_ == 2 && !in_metadata_) {
      const RawEntry& entry = entries.back();
      if (!entry.dtype) fail("has no dtype");
      if (!entry.shape) fail("has no shape");
      if (!entry.offsets) fail("has no data_offsets");
      if (entry.offsets->size() != 2)
        fail(fmt::format("data_offsets has {} numbers, expected 2", entry.offsets->size()));
    }
    --level_;
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != 2 || in_metadata_ || key_ == "dtype") refuse("a list");
    (key_ == "shape" ? entries.back().shape : entries.back().offsets).emplace();
    ++level_;
    return true;
  }

  bool end_array() override {
    --level_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    throw WeightsError(
        fmt::format("{}: header: not valid JSON at byte {} of the file", file_, position + 7));
  }

 private:
  /// An error in the current entry or the metadata.
  [[noreturn]] void fail(const std::string& reason) const {
    throw WeightsError(in_metadata_ ? fmt::format("{}: __metadata__: {}", file_, reason)
                                    : fmt::format("{}: tensor {}: {}", file_,
                                                  in_quotes(entries.back().name), reason));
  }

  /// A value of a type that has no place here.
  [[noreturn]] void refuse(std::string_view found) const {
    if (level_ == 1) fail(fmt::format("must be an object, not {}", found));
    if (in_metadata_)
      fail(fmt::format("the value of {} must be a string, not {}", in_quotes(key_), found));
    if (level_ == 3)
      fail(fmt::format("{} must hold only non-negative integers, not {}", key_, found));
    fail(fmt::format("{} must be a {}, not {}", key_,
                     key_ == "dtype" ? "string" : "list of non-negative integers", found));
  }

  const std::string& file_;
  int level_ = 0;
  bool in_metadata_ = false;
  std::string key_;
  std::set<std::string> names_;
};

/// A checked entry and where its bytes lie in the data.
struct Placed {
  SafetensorsEntry entry;
  std::uint64_t begin, end;
};

/// Checks an entry by itself.
Placed place(RawEntry&& raw, std::span<const std::uint8_t> data, const std::string& file) {
  const auto fail = [&](const std::string& reason) {
    throw WeightsError(fmt::format("{}: tensor {}: {}", file, in_quotes(raw.name), reason));
  };
  const auto size = safetensors_dtype_size(*raw.dtype);
  if (!size) fail(fmt::format("unknown dtype {}", in_quotes(*raw.dtype)));
  std::vector<std::int64_t> shape;
  for (const std::uint64_t extent : *raw.shape) {
    if (!std::in_range<std::int64_t>(extent))
      fail(fmt::format("shape: {} does not fit in 64 signed bits", extent));
    shape.push_back(static_cast<std::int64_t>(extent));
  }
  const auto bytes = safetensors_bytes(*raw.dtype, shape);
  if (!bytes) fail(fmt::format("shape {} overflows", shape_text(shape)));
  const std::uint64_t begin = (*raw.offsets)[0], end = (*raw.offsets)[1];
  if (begin > end) fail(fmt::format("data_offsets [{},{}] end before they begin", begin, end));
  if (end > data.size())
    fail(fmt::format("data_offsets [{},{}] lie outside the {} bytes of data", begin, end,
                     data.size()));
  if (end - begin != *bytes)
    fail(fmt::format("data_offsets [{},{}] hold {} bytes, but {} {} needs {}", begin, end,
                     end - begin, *raw.dtype, shape_text(shape), *bytes));
  return {{std::move(raw.name), std::move(*raw.dtype), std::move(shape),
           data.subspan(begin, end - begin)},
          begin,
          end};
}

/// Checks that the entries, sorted by offset, cover the data without a hole or overlap.
void check_cover(const std::vector<Placed>& placed, std::uint64_t size, const std::string& file) {
  std::uint64_t covered = 0;
  for (const Placed& p : placed) {
    if (p.begin > covered)
      throw WeightsError(
          fmt::format("{}: tensor {}: starts at byte {} of the data, leaving a hole "
                      "from byte {}",
                      file, in_quotes(p.entry.name), p.begin, covered));
    if (p.begin < covered)
      throw WeightsError(
          fmt::format("{}: tensor {}: starts at byte {} of the data and overlaps "
                      "another tensor up to byte {}",
                      file, in_quotes(p.entry.name), p.begin, covered));
    covered = p.end;
  }
  if (covered != size)
    throw WeightsError(
        fmt::format("{}: the tensors end at byte {} of {} bytes of data", file, covered, size));
}

/// The JSON text of the header, without its padding; sets `data` to what follows.
std::string_view header_text(std::span<const std::uint8_t> bytes, const std::string& file,
                             std::span<const std::uint8_t>& data) {
  const auto fail = [&file](const std::string& reason) {
    throw WeightsError(fmt::format("{}: {}", file, reason));
  };
  if (bytes.size() < 8)
    fail(fmt::format("is {} bytes long, too short for a safetensors file", bytes.size()));
  std::uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  if (length > max_safetensors_header)
    fail(fmt::format("header length {} is above {}; is this a safetensors file?", length,
                     max_safetensors_header));
  if (length > bytes.size() - 8)
    fail(
        fmt::format("header length {} reaches past the end of the file of {} bytes; is it "
                    "truncated?",
                    length, bytes.size()));
  data = bytes.subspan(8 + length);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  if (text.empty() || text.front() != '{') fail("header: does not start with '{'");
  if (const auto bad = invalid_utf8(text))
    fail(fmt::format("header: not UTF-8 at byte {} of the file", *bad + 8));
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.back() != '}') fail("header: does not end in '}' and spaces");
  return text;
}

}  // namespace

SafetensorsContents parse_safetensors(std::span<const std::uint8_t> bytes,
                                      const std::string& name) {
  std::span<const std::uint8_t> data;
  const std::string_view text = header_text(bytes, name, data);
  HeaderReader reader(name);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);

  std::vector<Placed> placed;
  placed.reserve(reader.entries.size());
  for (RawEntry& raw : reader.entries) placed.push_back(place(std::move(raw), data, name));
  // Stable: zero-sized tensors at one offset keep the header's order.
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_cover(placed, data.size(), name);

  SafetensorsContents contents{std::move(reader.metadata), {}};
  contents.entries.reserve(placed.size());
  for (Placed& p : placed) contents.entries.push_back(std::move(p.entry));
  return contents;
}

}  // namespace affuse
