// What a key takes: checked, and said in words.
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "apps/config/nearest.h"
#include "apps/config/table.h"

namespace affuse {
namespace {

using Kind = JsonNode::Kind;
constexpr std::size_t kLongestText = 4096;
constexpr std::size_t kMostTexts = 32;  // classes that the kernels hold

/// A limit as people write it: 1000000, not 1e+06.
std::string plain(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value)
                                                              : fmt::format("{}", value);
}

std::string range_words(const Limits& limits) {
  std::string out;
  if (limits.above || limits.below) {
    out = fmt::format("{} {} and {} {}", limits.above ? "above" : "at least", plain(limits.min),
                      limits.below ? "below" : "at most", plain(limits.max));
  } else {
    out = fmt::format("from {} to {}", plain(limits.min), plain(limits.max));
  }
  if (limits.step > 0) out += ", a multiple of " + plain(limits.step);
  return out;
}

bool within(const Limits& limits, double value) {
  if (limits.above ? value <= limits.min : value < limits.min) return false;
  if (limits.below ? value >= limits.max : value > limits.max) return false;
  return limits.step <= 0 || std::fmod(value, limits.step) == 0;
}

std::string choice_words(const ConfigRow& row) {
  return fmt::format("{}", fmt::join(row.choices.begin(), row.choices.end(), " | "));
}

bool number(const JsonNode& node) { return node.kind == Kind::integer || node.kind == Kind::real; }

std::string mismatch(const ConfigRow& row, const JsonNode& node) {
  std::string hint;
  if (row.type == ValueType::integer && node.kind == Kind::real) {
    hint = " without a fraction or exponent";
  }
  if (row.type == ValueType::text && node.kind != Kind::text) hint = " in double quotes";
  const bool numeric = row.type == ValueType::integer || row.type == ValueType::real;
  if (numeric && node.kind == Kind::text &&
      node.text.find_first_of("+-.0123456789") == 0) {  // "3", or .5 on the command line
    hint = "; JSON writes numbers as 7, 0.5 or 1e-3, without quotes";
  }
  return fmt::format("{} is of the wrong type; give {}{}", described(node), describe_values(row),
                     hint);
}

std::string check_number(const ConfigRow& row, const JsonNode& node) {
  if (within(row.limits, node.real)) return {};
  return fmt::format("{} is out of range; give {}", described(node), describe_values(row));
}

std::string check_choice(const ConfigRow& row, const JsonNode& node) {
  for (const std::string_view choice : row.choices) {
    if (choice == node.text) return {};
  }
  const std::string near = nearest_word(node.text, {row.choices.begin(), row.choices.end()});
  if (near.empty() || row.choices.size() == 1) {
    return fmt::format("{} is no choice; choose {}", shown(node.text), choice_words(row));
  }
  return fmt::format("{} is no choice; did you mean {}? (choices: {})", shown(node.text), near,
                     choice_words(row));
}

std::string check_text(const JsonNode& node) {
  if (node.text.size() <= kLongestText) return {};
  return fmt::format("a string of {} bytes is too long; give at most {}", node.text.size(),
                     kLongestText);
}

std::string check_array(const ConfigRow& row, const JsonNode& node) {
  const bool reals = row.type == ValueType::reals;
  if (reals && node.items.size() != row.count) {
    return fmt::format("an array of {} value{}; give {}", node.items.size(),
                       node.items.size() == 1 ? "" : "s", describe_values(row));
  }
  if (!reals && node.items.size() > kMostTexts) {
    return fmt::format("an array of {} strings; give at most {}", node.items.size(), kMostTexts);
  }
  for (const JsonNode& item : node.items) {
    if (reals ? !number(item) : item.kind != Kind::text) return mismatch(row, item);
    std::string error = reals ? check_number(row, item) : check_text(item);
    if (!error.empty()) return error;
  }
  return {};
}

}  // namespace

std::string ConfigRow::json(const Config& config) const {
  std::string value = get(config);
  return value.empty() ? json_quoted(word) : value;
}

std::string describe_values(const ConfigRow& row) {
  std::string out;
  switch (row.type) {
    case ValueType::boolean:
      return "true or false";
    case ValueType::integer:
      out = "an integer " + range_words(row.limits);
      break;
    case ValueType::real:
      out = "a number " + range_words(row.limits);
      break;
    case ValueType::text:
      return "a string";
    case ValueType::choice:
      return choice_words(row);
    case ValueType::reals:
      return fmt::format("an array of {} numbers {}", row.count, range_words(row.limits));
    case ValueType::texts:
      return "an array of strings";
  }
  if (!row.word.empty()) out += fmt::format(", or \"{}\"", row.word);
  return out;
}

std::string check_value(const ConfigRow& row, const JsonNode& node) {
  if (!row.word.empty() && node.kind == Kind::text && node.text == row.word) return {};
  switch (row.type) {
    case ValueType::boolean:
      return node.kind == Kind::boolean ? std::string() : mismatch(row, node);
    case ValueType::integer:
      return node.kind == Kind::integer ? check_number(row, node) : mismatch(row, node);
    case ValueType::real:
      return number(node) ? check_number(row, node) : mismatch(row, node);
    case ValueType::text:
      return node.kind == Kind::text ? check_text(node) : mismatch(row, node);
    case ValueType::choice:
      return node.kind == Kind::text ? check_choice(row, node) : mismatch(row, node);
    case ValueType::reals:
    case ValueType::texts:
      return node.kind == Kind::array ? check_array(row, node) : mismatch(row, node);
  }
  return {};
}

}  // namespace affuse
