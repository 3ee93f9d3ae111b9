// One function a command declares its arguments; the table below holds what is said about it.
#include "apps/cli_commands.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "apps/cli_options.h"
#include "apps/config/text.h"
#include "engine/error.h"

namespace affuse {
namespace {

/// CONFIG and overrides as they were given, in any order.
struct ConfigArguments {
  std::string first;
  std::vector<std::string> others;

  std::vector<std::string> all() const {
    std::vector<std::string> out = others;
    if (!first.empty()) out.insert(out.begin(), first);
    return out;
  }
};

void config_arguments(CLI::App& app, ConfigArguments& given) {
  app.add_option("CONFIG", given.first, "Configuration file.")->type_name("");
  app.add_option("key.path=value", given.others, "Overrides of its keys (docs/config.md).")
      ->type_name("");
}

void synth(const CliBuilder& b) {
  auto& o = b.options<SynthArguments>();
  b.app.add_option("--out", o.out, "Folder to draw into; made where missing.")
      ->required()
      ->type_name("DIR");
  for (const char* name : {"train", "val", "size", "seed", "va_noise", "balance"}) {
    std::string flag = std::string("--") + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    key_option(b.app, flag, std::string("data.synthetic.") + name,
               [&o](const ConfigRow& row, const JsonNode& node) {
                 Config config;
                 config.data.synthetic = o.faces;
                 row.set(config, node);
                 o.faces = config.data.synthetic;
               });
  }
  choice_option(b.app, "--layout", o.layout, "AffectNet-8's folders, or a manifest with images.");
}

void labels(const CliBuilder& b) {
  auto& o = b.options<LabelsArguments>();
  b.app.add_option("--manifest", o.manifest, "CSV with path,class,valence,arousal.")
      ->type_name("FILE");
  b.app.add_option("--config", o.config, "Configuration whose label model and manifest to take.")
      ->type_name("CONFIG");
  b.app.add_option("--out", o.out, "Folder for labels.json and labels.csv.")->type_name("DIR");
  b.app.add_option("--classes", o.classes, "Number of classes, where the manifest lacks some.")
      ->type_name("K")
      ->check(CLI::Range(2, 32).description(""));
  b.app.add_option("key.path=value", o.overrides, "Overrides of the configuration.")->type_name("");
  b.finish = [&o] {
    if (o.manifest.empty() && o.config.empty()) {
      throw ConfigError("labels: nothing to fit; give --manifest FILE or --config CONFIG");
    }
    if (o.config.empty() && !o.overrides.empty()) {
      throw ConfigError(
          fmt::format("argument {}: an override without a configuration; give --config",
                      shown(o.overrides.front(), 120)));
    }
  };
}

void train(const CliBuilder& b) {
  auto& o = b.options<TrainOptions>();
  const auto given = std::make_shared<ConfigArguments>();
  config_arguments(b.app, *given);
  b.app.add_option("--out", o.out, "Run folder; by default the next runs/<config>-<n>.")
      ->type_name("RUN");
  b.app.add_option("--resume", o.resume, "Go on in this run folder; CONFIG may be left out.")
      ->type_name("RUN");
  b.app.add_flag("--overwrite", o.overwrite, "Take --out although it is not empty.");
  b.app.add_flag("--dry-run", o.dry_run, "Check everything, run two steps, write nothing.");
  b.app.add_flag("--print-config", o.print_config, "Print every key as it ends up, and stop.");
  b.finish = [&o, given] {
    take_config(given->all(), o.config, o.overrides);
    if (o.config.empty() && o.resume.empty()) {
      throw ConfigError("train: no configuration; give one, such as configs/quickstart.json");
    }
    if (!o.resume.empty() && !o.out.empty()) {
      throw ConfigError("train: --out beside --resume; a resumed run stays in its folder");
    }
  };
}

void eval(const CliBuilder& b) {
  auto& o = b.options<EvalOptions>();
  b.app.add_option("PATH", o.path, "Run folder or weights file.")->required()->type_name("");
  b.app.add_option("key.path=value", o.overrides, "Overrides of the configuration.")->type_name("");
  b.app
      .add_option("--config", o.config, "Configuration that names the data; by default the run's.")
      ->type_name("CONFIG");
  choice_option(b.app, "--split", o.split, "Part of the data set to measure on.");
  b.app
      .add_option("--out", o.out, "Predictions file; by default predictions.csv in the run folder.")
      ->type_name("FILE");
  b.app.add_flag("--json", o.json, "Print the measures as JSON (schema 1).");
}

void metrics(const CliBuilder& b) {
  auto& o = b.options<MetricsOptions>();
  b.app
      .add_option("PREDICTIONS", o.predictions_csv,
                  "CSV with path, class, valence, arousal, p_0.., pred_valence, pred_arousal.")
      ->required()
      ->type_name("");
  b.app
      .add_option("--classes", o.classes, "Number of classes; by default as many as there are p_k.")
      ->type_name("K")
      ->check(CLI::Range(2, 32).description(""));
  key_option(b.app, "--bins", "calibration.bins", [&o](const ConfigRow&, const JsonNode& node) {
    o.bins = static_cast<int>(node.integer);
  });
  b.app
      .add_option("--temperature", o.temperature,
                  "Temperature to scale by; default: the one that fits these predictions best.")
      ->type_name("T")
      ->check(CLI::Range(kMinTemperature, kMaxTemperature).description(""));
  b.app.add_flag("--json", o.json, "Print the measures as JSON (schema 1).");
}

void predict(const CliBuilder& b) {
  auto& o = b.options<PredictOptions>();
  b.app.add_option("WEIGHTS", o.weights, "Weights (.safetensors) of a run.")
      ->required()
      ->type_name("");
  b.app.add_option("INPUT", o.inputs, "Images, folders, or CSV files with a column path.")
      ->required()
      ->type_name("IMAGE|DIR|CSV");
  b.app.add_flag("--json", o.json, "Print JSON Lines, an object an image.");
  b.app.add_flag("--calibrated", o.calibrated,
                 "Scale the probabilities by the weights' temperature (calibration.holdout).");
  b.app.add_option("--features", o.features, "Also write the features [N, C] to this .npy file.")
      ->type_name("FILE");
}

void info(const CliBuilder& b) {
  auto& o = b.options<InfoOptions>();
  const auto given = std::make_shared<ConfigArguments>();
  config_arguments(b.app, *given);
  b.app
      .add_option("--plan-for", o.plan_for,
                  "Plan the program for a GPU that is not there; FILE gives its properties.")
      ->type_name("sm75|sm80|sm90|FILE");
  b.finish = [&o, given] {
    take_config(given->all(), o.config, o.overrides);
    if (o.config.empty() && !o.plan_for.empty())
      throw ConfigError("argument --plan-for: needs a configuration to plan; name its file");
    if (o.config.empty() && !o.overrides.empty()) {
      throw ConfigError(
          fmt::format("argument {}: an override without a configuration; name its file",
                      shown(o.overrides.front(), 120)));
    }
  };
}

constexpr CliCommand kCommands[] = {
    {"synth", synth, "--out DIR [options]", "Draw synthetic faces, to try everything without data.",
     "  affuse synth --out faces\n"
     "  affuse synth --out big --train 60000 --size 224 --layout csv",
     "Nothing.",
     "DIR with the images and their annotations. It appears whole or not at all; a folder that "
     "holds something is refused.",
     ""},
    {"labels", labels,
     "--manifest FILE [--out DIR] [options]\n"
     "--config CONFIG [key.path=value ...] [--out DIR]",
     "Fit the label model on valence and arousal.",
     "  affuse labels --manifest train.csv --out labels\n"
     "  affuse labels --config configs/csv.json label_model.kind=gmm",
     "A table of the classes as the label model sees them. No image is read.",
     "With --out: labels.json (the fitted model, schema 1) and labels.csv (each sample's class "
     "distribution under every kind, and the fused one that training uses).",
     ""},
    {"train", train,
     "CONFIG [key.path=value ...] [--out RUN] [options]\n"
     "--resume RUN [CONFIG] [key.path=value ...]",
     "Train a network. The main job.",
     "  affuse train configs/quickstart.json\n"
     "  affuse train configs/quickstart.json train.epochs=3 --dry-run\n"
     "  affuse train configs/affectnet.json data.root=/data/AffectNet\n"
     "  affuse train configs/csv.json 'augment.scale=[1.0, 1.1]' --print-config\n"
     "  affuse train --resume runs/quickstart-1 train.epochs=12",
     "The measures of the selected weights on the validation set; with --dry-run its report, with "
     "--print-config the configuration as JSON, which train takes again.",
     "The run folder: config.json, run.log, status.json, metrics.csv, steps.csv, predictions.csv, "
     "skipped.csv, labels.json and the weights in checkpoints/. --dry-run and --print-config write "
     "nothing.",
     "128 + the signal's number where one stopped the run, after a checkpoint; a finished run "
     "that is resumed says so and ends with 0."},
    {"eval", eval, "PATH [--config CONFIG] [key.path=value ...] [options]",
     "Measure trained weights on a data set.",
     "  affuse eval runs/quickstart-1\n"
     "  affuse eval best.safetensors --config configs/csv.json --json",
     "Accuracy, macro-F1, each class, RMSE, CCC and Pearson of valence and arousal, calibration; "
     "with --json the same as one object (schema 1), a section without data left out.",
     "predictions.csv in the run folder, or the file of --out; of a weights file nothing without "
     "--out.",
     ""},
    {"metrics", metrics, "PREDICTIONS.csv [--temperature T] [--json]",
     "The same measures from any program's predictions.",
     "  affuse metrics runs/quickstart-1/predictions.csv\n"
     "  affuse metrics predictions.csv --json > measures.json",
     "As eval. No image is read; a column that is missing leaves its section out.", "Nothing.", ""},
    {"predict", predict, "WEIGHTS IMAGE|DIR|CSV ... [options]",
     "Class probabilities, valence and arousal of images.",
     "  affuse predict runs/quickstart-1/checkpoints/best.safetensors face.jpg\n"
     "  affuse predict best.safetensors photos/ --json > faces.jsonl",
     "A line an image: path, class with its probability, valence, arousal; with --json an object "
     "(schema 1) with the probability of every class.",
     "With --features a NumPy array of the network's features.",
     "1 also where an image could not be read; it is named, and the others are predicted."},
    {"info", info, "[CONFIG] [key.path=value ...] [--plan-for sm90]",
     "Devices and versions; the program of a configuration.",
     "  affuse info\n"
     "  affuse info configs/affectnet.json train.batch_size=64\n"
     "  affuse info configs/affectnet.json train.precision=fp16 --plan-for sm90",
     "Devices and library versions; for a configuration each step of its program with shapes, "
     "FLOPs and bytes, and what lies where in memory.",
     "Nothing.", ""},
};

constexpr CliTopOption kTopOptions[] = {
    {"--help", "", "Print this text; affuse help COMMAND prints a command's."},
    {"--version", "", "Print version and build in one line."},
    {"--completion", "bash", "Print the completion script for Bash."},
    {"--commands-reference", "", "Print docs/commands.md."},
    {"--config-reference", "", "Print docs/config.md."},
    {"--config-schema", "", "Print docs/config.schema.json."},
};

}  // namespace

std::span<const CliCommand> cli_commands() { return kCommands; }

std::span<const CliTopOption> cli_top_options() { return kTopOptions; }

const CliCommand* find_command(std::string_view name) {
  const auto found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                  [&](const CliCommand& row) { return row.name == name; });
  return found == std::end(kCommands) ? nullptr : found;
}

void declare_command(const CliCommand& command, const CliBuilder& builder) {
  command.declare(builder);
  builder.app.add_flag("--quiet", builder.line.quiet, "Warnings and errors only on stderr.");
}

std::vector<CliArgument> arguments_of(const CliCommand& command) {
  CLI::App app;
  CommandLine line;
  std::function<void()> finish;
  declare_command(command, {app, line, finish});
  std::vector<CliArgument> out;
  for (const CLI::Option* option : app.get_options()) {
    const bool placed = option->get_lnames().empty();
    const bool flag = option->get_type_size() == 0;
    CliArgument argument{placed ? option->get_single_name() : "--" + option->get_lnames().front(),
                         flag ? std::string() : option->get_type_name(), option->get_default_str(),
                         option->get_description()};
    if (placed && argument.value.empty()) argument.value = argument.name;
    argument.required = option->get_required();
    argument.repeated = option->get_expected_max() == CLI::detail::expected_max_vector_size;
    out.push_back(std::move(argument));
  }
  return out;
}

}  // namespace affuse
