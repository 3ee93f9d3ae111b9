// How the commands take what several of them take: configurations, keys, names.
#pragma once
#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/config/choices.h"
#include "apps/config/table.h"
#include "apps/config/text.h"
#include "engine/error.h"

namespace affuse {

/// Sorts positionals into at most one file and any number of overrides (key.path=value, unless a
/// file of that name is there). Throws ConfigError.
void take_config(const std::vector<std::string>& given, std::string& config,
                 std::vector<std::string>& overrides);

/// An option with the help, range and default of a configuration key.
void key_option(CLI::App& app, const std::string& flag, std::string_view path,
                const std::function<void(const ConfigRow&, const JsonNode&)>& store);

/// An option that takes one of an enumeration's names.
template <Choice E>
void choice_option(CLI::App& app, const std::string& flag, E& value, const std::string& help) {
  static constexpr auto names = choice_names(E{});
  app.add_option_function<std::string>(
         flag,
         [flag, &value](const std::string& text) {
           const auto found = std::find(names.begin(), names.end(), text);
           if (found == names.end()) {
             throw ConfigError(fmt::format("{}: {} is no choice; choose {}", flag, shown(text),
                                           fmt::join(names, " | ")));
           }
           value = static_cast<E>(found - names.begin());
         },
         help)
      ->type_name(fmt::format("{}", fmt::join(names, "|")))
      ->default_str(std::string(name_of(value)));
}

/// "did you mean train.epochs=3?" for an option that is really a key of the configuration:
/// --epochs 3, --batch-size=8, --train.seed 1; empty where there is no such key.
std::string key_for_option(std::string_view option, std::string_view next_argument);

}  // namespace affuse
