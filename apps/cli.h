// The command line: arguments in, one of the commands' option structs out.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "apps/commands/eval.h"
#include "apps/commands/info.h"
#include "apps/commands/metrics.h"
#include "apps/commands/predict.h"
#include "apps/commands/synth.h"
#include "apps/commands/train.h"

namespace affuse {

/// Text for stdout: help, version, generated documents.
struct ShowText {
  std::string text;
};

/// `affuse labels` before its configuration was read.
struct LabelsArguments {
  std::string manifest, config;        ///< one of them, or both
  std::vector<std::string> overrides;  ///< of `config`
  std::string out;                     ///< folder; empty: a summary only
  int classes = 0;                     ///< 0: as many as the manifest has
};

using Command = std::variant<ShowText, SynthArguments, LabelsArguments, TrainOptions, EvalOptions,
                             MetricsOptions, PredictOptions, InfoOptions>;

struct CommandLine {
  Command command;
  bool quiet = false;
};

/// `arguments` without the program's name. Throws ConfigError, one line.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

}  // namespace affuse
