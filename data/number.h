// Strict text to number, shared by the readers of tables and arrays.
#pragma once
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace affuse {

/// The finite decimal number that is the whole of `text` ("-0.5", "+1", "3e-2"), or nothing:
/// spaces, "nan", "inf", hexadecimal, other trailing text and overflow are all refused.
inline std::optional<double> parse_finite(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace affuse
