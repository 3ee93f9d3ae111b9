// What each command takes, and the help that goes with it.
#pragma once
#include <functional>
#include <span>

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
  const char* usage;  ///< behind the name
  const char* help;
  const char* examples;
};

std::span<const CliCommand> cli_commands();

}  // namespace affuse
