// Arguments to options: CLI11 parses, and every refusal becomes one line.
#include "apps/cli.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "apps/cli_commands.h"
#include "apps/config/load.h"
#include "apps/config/nearest.h"
#include "apps/config/text.h"
#include "engine/error.h"

namespace affuse {
namespace {

constexpr const char* kAbout =
    "affuse trains networks that see emotions in faces, as a class and as valence and arousal,\n"
    "and stays right where the class labels are wrong (dual-domain affect fusion).";
constexpr const char* kFirstSteps =
    "First steps:\n"
    "  affuse train configs/quickstart.json     train on synthetic faces, minutes on any machine\n"
    "  affuse eval runs/quickstart-1            measure the result\n"
    "  affuse train --help                      the main job\n"
    "Every configuration key: docs/config.md. Exit status: 0 done, 1 failed, 2 unusable arguments.";

const CliCommand* find_command(const std::string& name) {
  const auto commands = cli_commands();
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const CliCommand& row) { return row.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

/// CLI11's help with usage lines written by hand.
class Help : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    const CliCommand* row = find_command(app->get_name());
    return fmt::format("Usage: affuse {}\n",
                       row == nullptr ? "COMMAND [arguments]" : name + " " + row->usage);
  }
};

/// Any user's text as one line.
std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  return text;
}

[[noreturn]] void refuse_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CliCommand& row : cli_commands()) names.emplace_back(row.name);
  const std::string near = nearest_word(name, names);
  throw ConfigError(fmt::format("{}: unknown command; {}", shown(name),
                                near.empty() ? fmt::format("choose {}", fmt::join(names, ", "))
                                             : fmt::format("did you mean {}?", near)));
}

std::string unknown_argument(const CLI::App& sub) {
  const std::string text = sub.remaining().empty() ? std::string() : sub.remaining().front();
  std::vector<std::string> options;
  for (const CLI::Option* option : sub.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  const std::string near = nearest_word(text.substr(0, text.find('=')), options);
  return fmt::format("argument {}: unknown; {}", shown(text, 120),
                     near.empty() ? fmt::format("see affuse {} --help", sub.get_name())
                                  : fmt::format("did you mean {}?", near));
}

std::shared_ptr<Help> make_help() {
  auto help = std::make_shared<Help>();
  help->column_width(30);
  return help;
}

std::string top_help() {
  CLI::App app(kAbout, "affuse");
  app.formatter(make_help());
  app.footer(kFirstSteps);
  app.add_flag_callback(
      "--version", [] {}, "Print the version and exit");
  for (const CliCommand& row : cli_commands())
    app.add_subcommand(row.name, row.help)->group("Commands");
  return app.help();
}

CommandLine parse_top(const std::vector<std::string>& arguments) {
  const std::string first = arguments.empty() ? "--help" : arguments.front();
  if (first == "-h" || first == "--help" || first == "help") return {ShowText{top_help()}};
  if (first == "--version") return {ShowText{"affuse " AFFUSE_VERSION "\n"}};
  if (first == "--config-schema") return {ShowText{config_schema()}};
  if (first == "--config-reference") return {ShowText{config_reference()}};
  refuse_command(first);
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  const CliCommand* row = arguments.empty() ? nullptr : find_command(arguments.front());
  if (row == nullptr) return parse_top(arguments);
  // An app of its own: as a subcommand it would take a file named like a command for one.
  CLI::App app(row->help, row->name);
  app.formatter(make_help());
  app.footer(std::string("Examples:\n") + row->examples);
  CommandLine line;
  std::function<void()> finish = [] {};
  row->declare(CliBuilder{app, line, finish});
  app.add_flag("--quiet", line.quiet, "Warnings and errors only on stderr.");
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - 1));
    finish();
  } catch (const CLI::CallForHelp&) {
    return {ShowText{app.help()}};
  } catch (const CLI::ExtrasError&) {
    throw ConfigError(one_line(unknown_argument(app)));
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
