// The table as a JSON Schema (draft 7, which editors know).
#include <cmath>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/config/table.h"

namespace affuse {
namespace {

/// No control characters.
constexpr std::string_view kText =
    R"("type": "string", "maxLength": 4096, "pattern": "^[^\\u0000-\\u001F\\u007F]*$")";

std::string number_text(double value, ValueType type) {
  return type == ValueType::integer ? fmt::format("{:.0f}", value) : json_real(value);
}

/// "minimum": .., "exclusiveMaximum": .., "multipleOf": ..
std::string limits_json(const Limits& limits, ValueType type) {
  std::string out;
  if (std::isfinite(limits.min)) {
    out += fmt::format(R"(, "{}": {})", limits.above ? "exclusiveMinimum" : "minimum",
                       number_text(limits.min, type));
  }
  if (std::isfinite(limits.max)) {
    out += fmt::format(R"(, "{}": {})", limits.below ? "exclusiveMaximum" : "maximum",
                       number_text(limits.max, type));
  }
  if (limits.step > 0) out += fmt::format(R"(, "multipleOf": {})", number_text(limits.step, type));
  return out;
}

/// The type part of a key, without braces.
std::string type_json(const ConfigRow& row) {
  switch (row.type) {
    case ValueType::boolean:
      return R"("type": "boolean")";
    case ValueType::integer:
      return R"("type": "integer")" + limits_json(row.limits, row.type);
    case ValueType::real:
      return R"("type": "number")" + limits_json(row.limits, row.type);
    case ValueType::text:
      return std::string(kText);
    case ValueType::choice: {
      std::string names;
      for (const std::string_view name : row.choices) {
        names += (names.empty() ? "" : ", ") + json_quoted(name);
      }
      return fmt::format(R"("enum": [{}])", names);
    }
    case ValueType::reals:
      return fmt::format(
          R"("type": "array", "minItems": {0}, "maxItems": {0}, "items": {{"type": "number"{1}}})",
          row.count, limits_json(row.limits, ValueType::real));
    case ValueType::texts:
      return fmt::format(
          R"("type": "array", "maxItems": 32, "not": {{"minItems": 1, "maxItems": 1}}, )"
          R"("uniqueItems": true, "items": {{{}, "minLength": 1}})",
          kText);
  }
  return {};
}

std::string key_json(const ConfigRow& row) {
  std::string type = type_json(row);
  if (!row.word.empty()) {
    type = fmt::format(R"("anyOf": [{{{}}}, {{"const": {}}}])", type, json_quoted(row.word));
  }
  return fmt::format(R"({{{}, "default": {}, "description": {}}})", type, row.json(Config{}),
                     json_quoted(row.help));
}

/// `path` directly inside `section`: its last part; else empty.
std::string_view inside(std::string_view path, std::string_view section) {
  if (!section.empty()) {
    if (!path.starts_with(section) || path.size() <= section.size() ||
        path[section.size()] != '.') {
      return {};
    }
    path.remove_prefix(section.size() + 1);
  }
  return path.find('.') == path.npos ? path : std::string_view{};
}

std::string object_json(std::string_view section, int indent) {
  std::string members;
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  const auto add = [&](std::string_view name, const std::string& json) {
    members +=
        fmt::format("{}\n{}    {}: {}", members.empty() ? "" : ",", pad, json_quoted(name), json);
  };
  if (section.empty()) {
    add("$schema", R"({"type": "string", "description": "Path of this schema, for editors."})");
    add("versions",
        R"({"type": "object", "description": "Written by affuse, ignored when read."})");
  }
  for (const ConfigRow& row : config_rows()) {
    if (const auto name = inside(row.path, section); !name.empty()) add(name, key_json(row));
  }
  for (const ConfigSection& sub : config_sections()) {
    const auto name = inside(sub.path, section);
    if (name.empty()) continue;
    add(name, fmt::format("{{\n{0}      \"description\": {1},{2}\n{0}    }}", pad,
                          json_quoted(sub.help), object_json(sub.path, indent + 4)));
  }
  return fmt::format(
      "\n{0}  \"type\": \"object\",\n{0}  \"additionalProperties\": false,\n"
      "{0}  \"properties\": {{{1}\n{0}  }}",
      pad, members);
}

}  // namespace

std::string config_schema() {
  return fmt::format(
      "{{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
      "  \"title\": \"affuse configuration\",{}\n}}\n",
      object_json("", 0));
}

}  // namespace affuse
