// From JSON and overrides to a Config: every key is looked up in the table.
#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/config/nearest.h"
#include "apps/config/table.h"
#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

using Kind = JsonNode::Kind;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

const ConfigRow* find_row(std::string_view path) {
  for (const ConfigRow& row : config_rows()) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

bool is_section(std::string_view path) {
  const auto sections = config_sections();
  return std::any_of(sections.begin(), sections.end(),
                     [&](const ConfigSection& s) { return s.path == path; });
}

/// `text` without the quotes that a message puts around it.
std::string bare(std::string_view text, std::size_t limit = 60) {
  const std::string quoted = shown(text, limit);
  return quoted.substr(1, quoted.size() - 2);
}

/// Keys and sections directly inside `section` ("": the top level), for a message.
std::string members_of(std::string_view section) {
  std::vector<std::string_view> names;
  const auto add = [&](std::string_view path) {
    if (!section.empty() && !path.starts_with(section)) return;
    std::string_view rest = path.substr(section.size());
    if (!section.empty()) {
      if (!rest.starts_with('.')) return;
      rest.remove_prefix(1);
    }
    const std::string_view name = rest.substr(0, rest.find('.'));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const ConfigRow& row : config_rows()) add(row.path);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string unknown_key(std::string_view path, bool dotted_key) {
  if (dotted_key && find_row(path) != nullptr) {
    const std::size_t dot = path.find('.');
    return fmt::format(R"(unknown key; keys are nested: write "{}": {{"{}": ...}})",
                       path.substr(0, dot), path.substr(dot + 1));
  }
  std::vector<std::string> candidates;
  for (const ConfigSection& section : config_sections()) candidates.emplace_back(section.path);
  for (const ConfigRow& row : config_rows()) candidates.emplace_back(row.path);
  if (const std::string near = nearest_path(path, candidates); !near.empty()) {
    return fmt::format("unknown key; did you mean {}?", near);
  }
  std::string_view section = path.substr(0, path.rfind('.') == path.npos ? 0 : path.rfind('.'));
  if (!is_section(section)) section = {};
  return fmt::format("unknown key; choose from {}{}{}", section, section.empty() ? "" : ": ",
                     members_of(section));
}

class Parser {
 public:
  explicit Parser(std::string_view name) : name_(name) {}

  void file(const JsonNode& root) {
    if (root.kind != Kind::object) {
      throw ConfigError(fmt::format("{}:{}: the top level is {}; write an object {{\"data\": ...}}",
                                    name_, root.line, described(root)));
    }
    section("", root, [&](int line) { return fmt::format("{}:{}", name_, line); });
  }

  void override_key(const std::string& argument) {
    std::string place = fmt::format("argument '{}'", bare(argument, 120));
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError(place + ": not an override; write key.path=value");
    }
    const std::string path = argument.substr(0, equals);
    const std::string typed = argument.substr(equals + 1);
    const JsonNode value = override_value(typed, place);
    const ConfigRow* row = find_row(path);
    if (row != nullptr && row->type == ValueType::text && typed == value.text &&
        value.kind != Kind::text) {  // a shell has taken the quotes away, or would
      throw ConfigError(fmt::format(
          R"({}: {}: {} is a number; to give it as a string, quote it twice: '{}="{}"')", place,
          path, described(value), path, described(value)));
    }
    key(path, value, place, false, [&](int) -> const std::string& { return place; });
  }

  Config finish() {
    try {
      Config resolved = resolve(std::move(config_));
      check_config(resolved);
      return resolved;
    } catch (const ConfigError& e) {
      const std::string_view what = e.what();
      const auto place = places_.find(std::string(what.substr(0, what.find(':'))));
      throw ConfigError(
          fmt::format("{}: {}", place == places_.end() ? name_ : place->second, what));
    }
  }

 private:
  template <class Place>
  void section(const std::string& path, const JsonNode& object, const Place& place_of) {
    for (std::size_t i = 0; i < object.keys.size(); ++i) {
      const std::string& name = object.keys[i];
      if (path.empty() && ignored(name)) continue;
      const std::string full = path.empty() ? name : fmt::format("{}.{}", path, name);
      const bool dotted = path.empty() && name.find('.') != std::string::npos;
      key(full, object.items[i], place_of(object.key_lines[i]), dotted, place_of);
    }
  }

  /// For editors, and what print_config adds for people.
  static bool ignored(std::string_view name) { return name == "$schema" || name == "versions"; }

  template <class Place>
  void key(const std::string& path, const JsonNode& value, const std::string& key_place,
           bool dotted_key, const Place& place_of) {
    const auto fail = [&](const std::string& place, const std::string& what) {
      throw ConfigError(
          fmt::format("{}: {}: {}", place, path.empty() ? "\"\"" : bare(path, 80), what));
    };
    if (const ConfigRow* row = dotted_key ? nullptr : find_row(path)) {
      const std::string& place = place_of(value.line);
      if (const std::string error = check_value(*row, value); !error.empty()) fail(place, error);
      row->set(config_, value);
      places_[path] = place;
    } else if (!dotted_key && is_section(path)) {
      if (value.kind != Kind::object) {
        fail(key_place, fmt::format("{} is of the wrong type; give an object with {}",
                                    described(value), members_of(path)));
      }
      section(path, value, place_of);
    } else {
      fail(key_place, unknown_key(bare(path, 80), dotted_key));
    }
  }

  static JsonNode override_value(const std::string& text, const std::string& place) {
    try {
      return read_json(text, place, false);
    } catch (const ConfigError& e) {
      const bool structured =
          !text.empty() && std::string_view("{[\"").find(text[0]) != std::string::npos;
      if (structured || !is_plain_text(text)) throw;
    }
    JsonNode word;
    word.kind = Kind::text;
    word.text = text;
    return word;
  }

  std::string name_;
  Config config_;
  std::map<std::string, std::string> places_;
};

}  // namespace

Config parse_config(std::string_view text, std::string_view name,
                    const std::vector<std::string>& overrides) {
  const std::string file = bare(name, 400);
  Parser parser(file);
  parser.file(read_json(text, file));
  for (const std::string& argument : overrides) parser.override_key(argument);
  return parser.finish();
}

Config load_config(const std::string& path, const std::vector<std::string>& overrides) {
  std::string text;
  try {
    text = read_text(path, kMaxFileBytes);
  } catch (const DataError& e) {
    throw ConfigError(fmt::format(
        "{}; name a JSON file of at most 1 MiB, such as configs/quickstart.json", e.what()));
  }
  return parse_config(text, path, overrides);
}

}  // namespace affuse
