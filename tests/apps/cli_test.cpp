// The command line: options, positionals, help, and one clear line for what cannot be used.
#include "apps/cli.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"
#include "engine/error.h"

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
  }
  EXPECT_EQ(parsed<ShowText>({"--help"}).text, help);
  EXPECT_TRUE(parsed<ShowText>({"--version"}).text.starts_with("affuse "));
  EXPECT_EQ(parsed<ShowText>({"--config-schema"}).text, config_schema());
  EXPECT_EQ(parsed<ShowText>({"--config-reference"}).text, config_reference());
}

TEST(Cli, RefusesInOneLine) {
  const std::vector<std::pair<Arguments, std::string>> cases = {
      {{"trian"}, R"("trian": unknown command; did you mean train?)"},
      {{"bananas"},
       R"("bananas": unknown command; choose synth, labels, train, eval, metrics, predict, info)"},
      {{"--verison"},
       R"("--verison": unknown command; choose synth, labels, train, eval, metrics, predict, info)"},
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
