// The command line: options, positionals, help, and one clear line for what cannot be used.
#include "apps/cli.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "apps/cli_commands.h"
#include "apps/cli_documents.h"
#include "apps/config/load.h"
#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

using Arguments = std::vector<std::string>;

template <class Options>
Options parsed(const Arguments& arguments) {
  return std::get<Options>(parse_command_line(arguments).command);
}

std::string error_of(const Arguments& arguments) {
  try {
    parse_command_line(arguments);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Cli, TrainTakesAConfigurationAndOverridesInAnyOrder) {
  const auto o = parsed<TrainOptions>({"train", "a.json", "train.epochs=3", "--out", "runs/x",
                                       "data.root=/a/b", "--dry-run", "--quiet"});
  EXPECT_EQ(o.config, "a.json");
  EXPECT_EQ(o.overrides, (Arguments{"train.epochs=3", "data.root=/a/b"}));
  EXPECT_EQ(o.out, "runs/x");
  EXPECT_TRUE(o.dry_run);
  EXPECT_TRUE(o.quiet);
  EXPECT_FALSE(o.print_config);
  EXPECT_FALSE(o.overwrite);
  const auto negative = parsed<TrainOptions>({"train", "optimizer.lr=-1", "./a=b/c.json"});
  EXPECT_EQ(negative.config, "./a=b/c.json");
  EXPECT_EQ(negative.overrides, (Arguments{"optimizer.lr=-1"}));
  const auto resumed = parsed<TrainOptions>({"train", "--resume", "runs/x", "train.epochs=9"});
  EXPECT_EQ(resumed.config, "");
  EXPECT_EQ(resumed.resume, "runs/x");
  EXPECT_EQ(resumed.overrides, (Arguments{"train.epochs=9"}));
}

TEST(Cli, OtherCommands) {
  const auto synth = parsed<SynthArguments>(
      {"synth", "--out", "d", "--train", "100", "--size=32", "--va-noise", "0", "--layout", "csv"});
  EXPECT_EQ(synth.out, "d");
  EXPECT_EQ(synth.faces.train, 100);
  EXPECT_EQ(synth.faces.val, 1600);
  EXPECT_EQ(synth.faces.size, 32);
  EXPECT_EQ(synth.faces.va_noise, 0.0);
  EXPECT_EQ(synth.layout, SynthArguments::Layout::csv);
  const auto labels = parsed<LabelsArguments>(
      {"labels", "--config", "a.json", "label_model.kind=gmm", "--out", "d", "--classes", "8"});
  EXPECT_EQ(labels.config, "a.json");
  EXPECT_EQ(labels.overrides, (Arguments{"label_model.kind=gmm"}));
  EXPECT_EQ(labels.classes, 8);
  const auto eval = parsed<EvalOptions>({"eval", "runs/x", "--split", "train", "--json"});
  EXPECT_EQ(eval.path, "runs/x");
  EXPECT_EQ(eval.split, EvalOptions::Split::train);
  EXPECT_TRUE(eval.json);
  const auto metrics = parsed<MetricsOptions>({"metrics", "train", "--bins", "10"});
  EXPECT_EQ(metrics.predictions_csv, "train");  // a file named like a command
  EXPECT_EQ(metrics.bins, 10);
  const auto predict = parsed<PredictOptions>(
      {"predict", "w.safetensors", "a.jpg", "--json", "eval", "--features", "f.npy"});
  EXPECT_EQ(predict.weights, "w.safetensors");
  EXPECT_EQ(predict.inputs, (Arguments{"a.jpg", "eval"}));
  EXPECT_EQ(predict.features, "f.npy");
  EXPECT_EQ(parsed<InfoOptions>({"info"}).config, "");
  EXPECT_EQ(parsed<InfoOptions>({"info", "a.json", "train.seed=3"}).overrides.size(), 1u);
}

TEST(Cli, ShowsHelpVersionAndDocuments) {
  const std::string help = parsed<ShowText>({}).text;
  for (const char* name : {"synth", "labels", "train", "eval", "metrics", "predict", "info"}) {
    EXPECT_NE(help.find(std::string("\n  ") + name + " "), std::string::npos) << name;
    const std::string own = parsed<ShowText>({name, "--help"}).text;
    EXPECT_NE(own.find(std::string("Usage: affuse ") + name), std::string::npos) << own;
    EXPECT_NE(own.find("Examples:\n  affuse "), std::string::npos) << name;
    EXPECT_EQ(parsed<ShowText>({name, "-h"}).text, own);
    EXPECT_EQ(parsed<ShowText>({"help", name}).text, own);
  }
  for (const Arguments& same : {Arguments{"--help"}, {"-h"}, {"help"}, {"help", "--help"}})
    EXPECT_EQ(parsed<ShowText>(same).text, help);
  const std::string version = parsed<ShowText>({"--version"}).text;
  EXPECT_TRUE(version.starts_with("affuse ")) << version;
  for (const char* part : {" CUDA", " MPI", "CPU "})
    EXPECT_NE(version.find(part), std::string::npos) << version;
  EXPECT_EQ(version.find('\n'), version.size() - 1) << "one line";
  EXPECT_EQ(parsed<ShowText>({"--config-schema"}).text, config_schema());
  EXPECT_EQ(parsed<ShowText>({"--config-reference"}).text, config_reference());
}

TEST(Cli, HelpFitsATerminalOf80ColumnsAndExplainsEveryArgument) {
  std::vector<Arguments> helps = {{"--help"}};
  for (const CliCommand& row : cli_commands()) {
    helps.push_back({row.name, "--help"});
    for (const CliArgument& a : arguments_of(row)) {
      EXPECT_FALSE(a.help.empty()) << row.name << " " << a.name;
      EXPECT_NE(
          parsed<ShowText>(helps.back()).text.find("\n  " + (a.name == "--help" ? "-h" : a.name)),
          std::string::npos)
          << row.name << " " << a.name;
    }
    for (const char* text : {row.help, row.prints, row.writes, row.examples})
      EXPECT_NE(*text, '\0') << row.name;
  }
  for (const Arguments& arguments : helps) {
    std::istringstream lines(parsed<ShowText>(arguments).text);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 80u) << arguments.front() << ": " << line;
  }
}

// What the help tells to type must parse; the files need not be there.
TEST(Cli, ExamplesParse) {
  for (const CliCommand& row : cli_commands()) {
    std::istringstream lines(row.examples);
    for (std::string line; std::getline(lines, line);) {
      Arguments words;
      std::string word;
      bool quoted = false;
      for (const char c : line.substr(0, line.find(" >")) + " ") {
        if (c == '\'') {
          quoted = !quoted;
        } else if (c != ' ' || quoted) {
          word += c;
        } else if (!word.empty()) {
          words.push_back(std::exchange(word, {}));
        }
      }
      ASSERT_GE(words.size(), 2u) << line;
      EXPECT_EQ(words.front(), "affuse");
      EXPECT_EQ(words[1], row.name);
      words.erase(words.begin());
      EXPECT_NO_THROW(parse_command_line(words)) << line;
    }
  }
}

TEST(Cli, DocsCommandsIsMadeFromTheTable) {
  EXPECT_EQ(read_text(AFFUSE_SOURCE_DIR "/docs/commands.md"), commands_reference())
      << "build/cpu/affuse --commands-reference > docs/commands.md";
  EXPECT_EQ(parsed<ShowText>({"--commands-reference"}).text, commands_reference());
  for (const CliCommand& row : cli_commands()) {
    const std::string page = commands_reference();
    EXPECT_NE(page.find(std::string("\n## affuse ") + row.name + "\n"), std::string::npos);
    for (const CliArgument& a : arguments_of(row))
      EXPECT_TRUE(a.name == "--help" || page.find("| `" + a.name) != std::string::npos) << a.name;
  }
}

TEST(Cli, RefusesInOneLine) {
  const std::vector<std::pair<Arguments, std::string>> cases = {
      {{"trian"}, R"("trian": unknown command; did you mean train?)"},
      {{"bananas"},
       R"("bananas": unknown command; choose synth, labels, train, eval, metrics, predict, info)"},
      {{"--verison"}, R"("--verison": unknown command; did you mean --version?)"},
      {{"help", "trian"}, R"("trian": unknown command; did you mean train?)"},
      {{"--completion"}, R"(--completion: "" is no shell that affuse knows; give bash)"},
      {{"--completion", "fish"},
       R"(--completion: "fish" is no shell that affuse knows; give bash)"},
      {{"train", "a.json", "--epochs", "3"},
       R"(argument "--epochs": unknown; did you mean train.epochs=3?)"},
      {{"train", "a.json", "--batch-size=8"},
       R"(argument "--batch-size=8": unknown; did you mean train.batch_size=8?)"},
      {{"train", "--lr", "1e-3", "a.json"},
       R"(argument "--lr": unknown; did you mean optimizer.lr=1e-3?)"},
      {{"train", "a.json", "--seed", "1"},
       R"(argument "--seed": unknown; did you mean train.seed=1?)"},
      {{"train", "a.json", "--noise.rate", "0.3"},
       R"(argument "--noise.rate": unknown; did you mean noise.rate=0.3?)"},
      {{"train", "a.json", "--epochs"},
       R"(argument "--epochs": unknown; did you mean train.epochs=VALUE?)"},
      {{"train", "a.json", "--epochs", "--quiet"},
       R"(argument "--epochs": unknown; did you mean train.epochs=VALUE?)"},
      {{"info", "a.json", "--device", "cpu"},
       R"(argument "--device": unknown; did you mean train.device=cpu?)"},
      {{"metrics", "a.csv", "--epochs", "3"},
       R"(argument "--epochs": unknown; see affuse metrics --help)"},
      {{"train"}, "train: no configuration; give one, such as configs/quickstart.json"},
      {{"train", "a.json", "--dryrun"}, R"(argument "--dryrun": unknown; did you mean --dry-run?)"},
      {{"train", "a.json", "--bananas"},
       R"(argument "--bananas": unknown; see affuse train --help)"},
      {{"train", "a.json", "b.json"},
       R"(argument "b.json": a second configuration file; give one, and overrides as key.path=value)"},
      {{"train", "a.json", "--out"},
       "train: --out: 1 required RUN missing; see affuse train --help"},
      {{"train", "--resume", "r", "--out", "o"},
       "train: --out beside --resume; a resumed run stays in its folder"},
      {{"synth"}, "synth: --out is required; see affuse synth --help"},
      {{"synth", "--out", "d", "--size", "5"},
       "--size: 5 is out of range; give an integer from 16 to 1024"},
      {{"synth", "--out", "d", "--train", "1.5"},
       "--train: 1.5 is of the wrong type; give an integer from 8 to 10000000 without a fraction "
       "or "
       "exponent"},
      {{"synth", "--out", "d", "--seed", "x"},
       "--seed: the string \"x\" is of the wrong type; give an integer from 0 to 9007199254740991"},
      {{"synth", "--out", "d", "--layout", "foo"},
       R"(--layout: "foo" is no choice; choose affectnet_npy | csv)"},
      {{"labels"}, "labels: nothing to fit; give --manifest FILE or --config CONFIG"},
      {{"labels", "--manifest", "a.csv", "x=3"},
       R"(argument "x=3": an override without a configuration; give --config)"},
      {{"labels", "--manifest", "a.csv", "--classes", "1"},
       "labels: --classes: Value 1 not in range 2 to 32; see affuse labels --help"},
      {{"metrics"}, "metrics: PREDICTIONS is required; see affuse metrics --help"},
      {{"metrics", "a.csv", "b.csv"}, R"(argument "b.csv": unknown; see affuse metrics --help)"},
      {{"predict", "w"}, "predict: INPUT is required; see affuse predict --help"},
      {{"info", "x=3"}, R"(argument "x=3": an override without a configuration; name its file)"},
      {{"tr\nain"}, R"("tr\u000aain": unknown command; did you mean train?)"},
      {{"metrics", "a", "--x\ny"}, R"(argument "--x\u000ay": unknown; see affuse metrics --help)"},
  };
  for (const auto& [arguments, error] : cases) EXPECT_EQ(error_of(arguments), error);
}

}  // namespace
}  // namespace affuse
