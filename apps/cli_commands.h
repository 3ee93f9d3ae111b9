// What each command takes, and the help that goes with it. The parser, --help, docs/commands.md and
// the shell completion come from these rows.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "apps/cli.h"

namespace affuse {

/// A command under construction.
struct CliBuilder {
  CLI::App& app;
  CommandLine& line;
  std::function<void()>& finish;  ///< called after parsing: checks, and sorts the positionals

  template <class Options>
  Options& options() const {
    return line.command.emplace<Options>();
  }
};

struct CliCommand {
  const char* name;
  void (*declare)(const CliBuilder&);
  const char* usage;  ///< behind the name; several lines: several ways
  const char* help;
  const char* examples;
  const char* prints;  ///< on stdout
  const char* writes;  ///< files
  const char* status;  ///< what 1 stands for beyond an error, and what else there is; or empty
};

std::span<const CliCommand> cli_commands();
/// Null where there is no such command.
const CliCommand* find_command(std::string_view name);

/// Declares a command's arguments and --quiet, which all have.
void declare_command(const CliCommand& command, const CliBuilder& builder);

/// An option that stands in place of a command.
struct CliTopOption {
  const char* name;
  const char* value;  ///< its argument, or empty
  const char* help;
};
std::span<const CliTopOption> cli_top_options();

/// An argument as a command declares it.
struct CliArgument {
  std::string name;           ///< "--out", or "CONFIG" where it is told by its place
  std::string value;          ///< what it takes: "FILE", "val|train"; empty: nothing (a flag)
  std::string default_value;  ///< or empty
  std::string help;
  bool required = false, repeated = false;

  bool is_option() const { return name.starts_with('-'); }
};
/// The arguments in the order of declaration, --help first, --quiet last.
std::vector<CliArgument> arguments_of(const CliCommand& command);

}  // namespace affuse
