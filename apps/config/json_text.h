// Strict JSON with comments, read into a tree that remembers lines.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/text.h"

namespace affuse {

/// A JSON value and the line (from 1) that it ends on (of a container: starts on).
struct JsonNode {
  enum class Kind { null, boolean, integer, real, text, array, object };
  Kind kind = Kind::null;
  int line = 1;
  bool boolean = false;
  std::int64_t integer = 0;  ///< saturated beyond 64 bits
  double real = 0;           ///< also of an integer
  std::string text;          ///< of a string; of a number as it was written
  std::vector<std::string> keys;
  std::vector<int> key_lines;
  std::vector<JsonNode> items;  ///< of an array; values of `keys` of an object
};

/// Reads one JSON value. Refused with ConfigError "NAME:LINE: ...": encodings other than UTF-8 (a
/// BOM is accepted), NUL and control characters, duplicate keys, depth > 64, numbers beyond double,
/// syntax errors (with the column).
JsonNode read_json(std::string_view text, std::string_view name, bool comments = true);

/// A value as a message names it: "the string \"x\"", "1.0", "an object".
std::string described(const JsonNode& node);

}  // namespace affuse
