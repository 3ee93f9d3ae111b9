#include "apps/cli_options.h"

#include <filesystem>

namespace affuse {
namespace {

bool is_override(const std::string& text) {
  const std::string key = text.substr(0, text.find('='));
  std::error_code ignored;
  return key.size() < text.size() && key.find('/') == std::string::npos &&
         !std::filesystem::exists(text, ignored);
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

/// The row that `name` is the path or the last part of; of several train's, then the first.
const ConfigRow* row_for(const std::string& name) {
  const ConfigRow* found = nullptr;
  for (const ConfigRow& row : config_rows()) {
    if (row.path == name) return &row;
    if (last_part(row.path) != name) continue;
    if (found == nullptr || row.path.starts_with("train.")) found = &row;
  }
  return found;
}

}  // namespace

void take_config(const std::vector<std::string>& given, std::string& config,
                 std::vector<std::string>& overrides) {
  for (const std::string& text : given) {
    if (is_override(text)) {
      overrides.push_back(text);
    } else if (config.empty()) {
      config = text;
    } else {
      throw ConfigError(fmt::format(
          "argument {}: a second configuration file; give one, and overrides as key.path=value",
          shown(text, 120)));
    }
  }
}

void key_option(CLI::App& app, const std::string& flag, std::string_view path,
                const std::function<void(const ConfigRow&, const JsonNode&)>& store) {
  const auto rows = config_rows();
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const ConfigRow& r) { return r.path == path; });
  app.add_option_function<std::string>(
         flag,
         [flag, row, store](const std::string& text) {
           JsonNode node;
           try {
             node = read_json(text, flag, false);
           } catch (const ConfigError&) {
             node.kind = JsonNode::Kind::text;
             node.text = text;
           }
           const std::string error = check_value(*row, node);
           if (!error.empty()) throw ConfigError(fmt::format("{}: {}", flag, error));
           store(*row, node);
         },
         std::string(row->help))
      ->type_name(row->type == ValueType::integer ? "N" : "X")
      ->default_str(row->json(Config{}));
}

std::string key_for_option(std::string_view option, std::string_view next_argument) {
  if (!option.starts_with("--")) return {};
  const std::size_t sign = option.find('=');
  std::string name(option.substr(2, sign == option.npos ? option.npos : sign - 2));
  std::replace(name.begin(), name.end(), '-', '_');
  const ConfigRow* row = row_for(name);
  if (row == nullptr) return {};
  std::string_view value = sign == option.npos ? next_argument : option.substr(sign + 1);
  const bool plain = !value.empty() && value.size() <= 40 && is_plain_text(value) &&
                     value.find_first_of(" -") != 0 && value.find('=') == value.npos;
  return fmt::format("did you mean {}={}?", row->path, plain ? value : "VALUE");
}

}  // namespace affuse
