// One row a configuration key: path, type, range or choices, help, and where the value lives.
// Parser, defaults, --print-config, JSON Schema and reference page all come from these rows.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/json_text.h"

namespace affuse {

/// What a number may be; for arrays, what each element may be.
struct Limits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above = false;  ///< min itself is excluded
  bool below = false;  ///< max itself is excluded
  double step = 0;     ///< > 0: a multiple of it
};

enum class ValueType { boolean, integer, real, text, choice, reals, texts };

struct ConfigRow {
  std::string_view path, help;
  ValueType type = ValueType::boolean;
  Limits limits;
  std::string_view word;  ///< a word allowed instead of a number, or empty
  std::span<const std::string_view> choices;
  std::size_t count = 0;  ///< elements of `reals`
  /// The value as JSON; empty where the word stands.
  std::string (*get)(const Config&) = nullptr;
  /// Stores a value that check_value accepted.
  void (*set)(Config&, const JsonNode&) = nullptr;

  std::string json(const Config& config) const;  ///< the value, or the word, as JSON
};

struct ConfigSection {
  std::string_view path, help;
};

/// All keys, grouped by section in the order of ConfigSection.
std::span<const ConfigRow> config_rows();
/// Sections; one inside another follows it.
std::span<const ConfigSection> config_sections();

/// Why `node` is no value of `row` ("what; what to do"), or empty.
std::string check_value(const ConfigRow& row, const JsonNode& node);

/// "an integer from 1 to 100", "gmm | euclid", "a number above 0 or \"none\"".
std::string describe_values(const ConfigRow& row);

/// How one C++ type reads and writes JSON.
template <class T>
struct ValueCodec;

template <>
struct ValueCodec<bool> {
  static constexpr ValueType type = ValueType::boolean;
  static std::string get(bool v) { return v ? "true" : "false"; }
  static void set(bool& v, const JsonNode& node) { v = node.boolean; }
};
template <std::integral T>
struct ValueCodec<T> {
  static constexpr ValueType type = ValueType::integer;
  static std::string get(T v) { return std::to_string(v); }
  static void set(T& v, const JsonNode& node) { v = static_cast<T>(node.integer); }
};
template <>
struct ValueCodec<double> {
  static constexpr ValueType type = ValueType::real;
  static std::string get(double v) { return json_real(v); }
  static void set(double& v, const JsonNode& node) { v = node.real; }
};
template <>
struct ValueCodec<std::string> {
  static constexpr ValueType type = ValueType::text;
  static std::string get(const std::string& v) { return json_quoted(v); }
  static void set(std::string& v, const JsonNode& node) { v = node.text; }
};
template <Choice E>
struct ValueCodec<E> {
  static constexpr ValueType type = ValueType::choice;
  static constexpr auto names = choice_names(E{});
  static std::string get(E v) { return json_quoted(name_of(v)); }
  static void set(E& v, const JsonNode& node) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == node.text) v = static_cast<E>(i);
    }
  }
};
template <class T>
struct ValueCodec<std::optional<T>> {
  static constexpr ValueType type = ValueCodec<T>::type;
  static std::string get(const std::optional<T>& v) { return v ? ValueCodec<T>::get(*v) : ""; }
  static void set(std::optional<T>& v, const JsonNode& node) {
    v.reset();
    if (node.kind != JsonNode::Kind::text) ValueCodec<T>::set(v.emplace(), node);
  }
};
template <std::size_t N>
struct ValueCodec<std::array<double, N>> {
  static constexpr ValueType type = ValueType::reals;
  static constexpr std::size_t count = N;
  static std::string get(const std::array<double, N>& v) {
    std::string out;
    for (const double x : v) out += (out.empty() ? "[" : ", ") + json_real(x);
    return out + "]";
  }
  static void set(std::array<double, N>& v, const JsonNode& node) {
    for (std::size_t i = 0; i < N; ++i) v[i] = node.items[i].real;
  }
};
template <>
struct ValueCodec<std::vector<std::string>> {
  static constexpr ValueType type = ValueType::texts;
  static std::string get(const std::vector<std::string>& v) {
    std::string out = "[";
    for (const std::string& s : v) out += (out.size() == 1 ? "" : ", ") + json_quoted(s);
    return out + "]";
  }
  static void set(std::vector<std::string>& v, const JsonNode& node) {
    v.clear();
    for (const JsonNode& item : node.items) v.push_back(item.text);
  }
};

template <class T>
auto& member(T& value) {
  return value;
}
template <class T, class M, class... Rest>
auto& member(T& value, M first, Rest... rest) {
  return member(value.*first, rest...);
}

/// The row of the value that the member pointers lead to.
template <auto... Members>
ConfigRow config_row(std::string_view path, const Limits& limits, std::string_view help,
                     std::string_view word = {}) {
  using Value = std::remove_reference_t<decltype(member(std::declval<Config&>(), Members...))>;
  using Codec = ValueCodec<Value>;
  ConfigRow row;
  row.path = path;
  row.help = help;
  row.type = Codec::type;
  row.limits = limits;
  row.word = word;
  if constexpr (requires { Codec::names; }) row.choices = Codec::names;
  if constexpr (requires { Codec::count; }) row.count = Codec::count;
  row.get = [](const Config& config) { return Codec::get(member(config, Members...)); };
  row.set = [](Config& config, const JsonNode& node) {
    Codec::set(member(config, Members...), node);
  };
  return row;
}

}  // namespace affuse
