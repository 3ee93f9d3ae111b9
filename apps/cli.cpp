// Arguments to options: CLI11 parses, and every refusal becomes one line.
#include "apps/cli.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/cli_commands.h"
#include "apps/cli_documents.h"
#include "apps/cli_options.h"
#include "apps/config/load.h"
#include "apps/config/nearest.h"
#include "apps/config/text.h"
#include "engine/error.h"
#include "engine/text.h"

namespace affuse {
namespace {

constexpr std::size_t kColumns = 80, kOptionColumn = 30, kCommandColumn = 26;

constexpr const char* kAbout =
    "affuse trains networks that see emotions in faces, as a class and as valence\n"
    "and arousal, and stays right where the class labels are wrong (dual-domain\n"
    "affect fusion).";
constexpr const char* kFirstSteps =
    "First steps:\n"
    "  affuse train configs/quickstart.json   train on synthetic faces, in minutes\n"
    "  affuse eval runs/quickstart-1          measure the result\n"
    "  affuse help train                      the main job\n\n"
    "Results go to stdout, progress to stderr. Exit status: 0 done, 1 failed,\n"
    "2 unusable arguments or configuration. Every configuration key: docs/config.md.";

/// `text` in lines of at most `width` columns, broken at spaces; all but the first after `indent`.
std::string wrapped(std::string_view text, std::size_t width, const std::string& indent = {}) {
  std::string out;
  while (text.size() > width) {
    const std::size_t space = text.rfind(' ', width);
    if (space == text.npos) break;
    out += std::string(text.substr(0, space)) + "\n" + indent;
    text.remove_prefix(space + 1);
  }
  return out + std::string(text);
}

std::string usage_text(const CliCommand& row) {
  std::string text;
  std::string_view left = row.usage;
  for (bool first = true; !left.empty(); first = false) {
    const std::string_view way = left.substr(0, left.find('\n'));
    text += fmt::format("{}affuse {} {}\n", first ? "Usage: " : "       ", row.name, way);
    left.remove_prefix(std::min(left.size(), way.size() + 1));
  }
  return text;
}

/// CLI11's help with usage lines written by hand, for a terminal of 80 columns.
class Help : public CLI::Formatter {
 public:
  explicit Help(std::size_t column) : column_(column) {
    column_width(column);
    label("Positionals", "Arguments");
  }
  std::string make_usage(const CLI::App* app, std::string) const override {
    const CliCommand* row = find_command(app->get_name());
    return row == nullptr ? "\nUsage: affuse COMMAND [arguments]\n" : "\n" + usage_text(*row);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (!option->get_option_text().empty()) return " " + option->get_option_text();
    if (option->get_type_size() == 0) return {};
    const bool many = option->get_expected_max() == CLI::detail::expected_max_vector_size;
    const std::string& type = option->get_type_name();
    return (type.empty() ? "" : " " + type) + (many ? " ..." : "");
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    if (option->get_required()) text += " Required.";
    if (const std::string& usual = option->get_default_str(); !usual.empty())
      text += fmt::format(" Default: {}.", usual);
    return wrapped(text, kColumns - column_);
  }

 private:
  std::size_t column_;
};

std::string footer_of(const CliCommand& row) {
  const auto part = [](const char* title, const char* text) {
    const std::string indent = "  ";
    return *text == '\0'
               ? std::string()
               : wrapped(fmt::format("{}: {}", title, text), kColumns - indent.size(), indent) +
                     "\n";
  };
  return part("Prints", row.prints) + part("Writes", row.writes) + part("Exit status", row.status) +
         "\nExamples:\n" + row.examples;
}

[[noreturn]] void refuse_command(const std::string& name) {
  std::vector<std::string> names, known;
  for (const CliCommand& row : cli_commands()) names.emplace_back(row.name);
  known = names;
  for (const CliTopOption& row : cli_top_options()) known.emplace_back(row.name);
  const std::string near = nearest_word(name, known);
  throw ConfigError(fmt::format("{}: unknown command; {}", shown(name),
                                near.empty() ? fmt::format("choose {}", fmt::join(names, ", "))
                                             : fmt::format("did you mean {}?", near)));
}

/// What `text`, which no option is called, may have meant.
std::string meant(const CLI::App& sub, const std::string& text,
                  const std::vector<std::string>& arguments) {
  if (sub.get_option_no_throw("key.path=value") != nullptr) {
    const auto at = std::find(arguments.begin(), arguments.end(), text);
    const bool last = at == arguments.end() || at + 1 == arguments.end();
    const std::string key = key_for_option(text, last ? std::string() : *(at + 1));
    if (!key.empty()) return key;
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : sub.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  const std::string near = nearest_word(text.substr(0, text.find('=')), options);
  return near.empty() ? fmt::format("see affuse {} --help", sub.get_name())
                      : fmt::format("did you mean {}?", near);
}

std::string unknown_argument(const CLI::App& sub, const std::vector<std::string>& arguments) {
  const std::string text = sub.remaining().empty() ? std::string() : sub.remaining().front();
  return fmt::format("argument {}: unknown; {}", shown(text, 120), meant(sub, text, arguments));
}

std::string top_help() {
  CLI::App app(kAbout, "affuse");
  app.set_help_flag();
  app.formatter(std::make_shared<Help>(kCommandColumn));
  app.footer(kFirstSteps);
  for (const CliTopOption& row : cli_top_options()) {
    CLI::Option* option = app.add_flag(row.name)->description(row.help);
    if (*row.value != '\0') option->option_text(row.value);
  }
  for (const CliCommand& row : cli_commands())
    app.add_subcommand(row.name, row.help)->group("Commands");
  return app.help();
}

std::string completion(const std::string& shell) {
  if (shell != "bash")
    throw ConfigError(
        fmt::format("--completion: {} is no shell that affuse knows; give bash", shown(shell)));
  return bash_completion();
}

CommandLine parse_top(const std::vector<std::string>& arguments) {
  const std::string first = arguments.empty() ? "--help" : arguments.front();
  const std::string second = arguments.size() > 1 ? arguments[1] : std::string();
  if (first == "help" && !second.empty()) return parse_command_line({second, "--help"});
  if (first == "-h" || first == "--help" || first == "help") return {ShowText{top_help()}};
  if (first == "--version") return {ShowText{"affuse " AFFUSE_VERSION " (" AFFUSE_BUILD ")\n"}};
  if (first == "--config-schema") return {ShowText{config_schema()}};
  if (first == "--config-reference") return {ShowText{config_reference()}};
  if (first == "--commands-reference") return {ShowText{commands_reference()}};
  if (first == "--completion") return {ShowText{completion(second)}};
  refuse_command(first);
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  const CliCommand* row = arguments.empty() ? nullptr : find_command(arguments.front());
  if (row == nullptr) return parse_top(arguments);
  // An app of its own: as a subcommand it would take a file named like a command for one.
  CLI::App app(row->help, row->name);
  app.formatter(std::make_shared<Help>(kOptionColumn));
  app.footer(footer_of(*row));
  app.set_help_flag("-h,--help", "Print this text.");
  CommandLine line;
  std::function<void()> finish = [] {};
  declare_command(*row, CliBuilder{app, line, finish});
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - 1));
    finish();
  } catch (const CLI::CallForHelp&) {
    return {ShowText{app.help()}};
  } catch (const CLI::ExtrasError&) {
    throw ConfigError(one_line(unknown_argument(app, arguments)));
  } catch (const CLI::ParseError& e) {
    throw ConfigError(
        one_line(fmt::format("{}: {}; see affuse {} --help", row->name, e.what(), row->name)));
  }
  if (auto* o = std::get_if<TrainOptions>(&line.command)) o->quiet = line.quiet;
  if (auto* o = std::get_if<EvalOptions>(&line.command)) o->quiet = line.quiet;
  if (auto* o = std::get_if<PredictOptions>(&line.command)) o->quiet = line.quiet;
  return line;
}

}  // namespace affuse
