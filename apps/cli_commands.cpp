// One function a command declares its arguments; the table below holds the help.
#include "apps/cli_commands.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "apps/config/table.h"
#include "engine/error.h"

namespace affuse {
namespace {

using Positionals = std::vector<std::string>;

/// key.path=value, unless a file of that name is there.
bool is_override(const std::string& text) {
  const std::string key = text.substr(0, text.find('='));
  std::error_code ignored;
  return key.size() < text.size() && key.find('/') == std::string::npos &&
         !std::filesystem::exists(text, ignored);
}

/// Sorts positionals into at most one file and any number of overrides.
void take_config(const Positionals& given, std::string& config,
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

/// An option with the help, range and default of a configuration key.
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
      ->type_name("FILE");
  b.app.add_option("--out", o.out, "Folder for labels.json and labels.csv.")->type_name("DIR");
  b.app.add_option("--classes", o.classes, "Number of classes K, where the manifest lacks some.")
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
  const auto given = std::make_shared<Positionals>();
  b.app
      .add_option("CONFIG", *given,
                  "Configuration file (docs/config.md), then overrides of its keys.")
      ->type_name("");
  b.app.add_option("--out", o.out, "Run folder; default: the next runs/<config>-<n>.")
      ->type_name("RUN");
  b.app.add_option("--resume", o.resume, "Go on in this run folder; CONFIG may be left out.")
      ->type_name("RUN");
  b.app.add_flag("--overwrite", o.overwrite, "Take --out although it is not empty.");
  b.app.add_flag("--dry-run", o.dry_run, "Check everything, run two steps, write nothing.");
  b.app.add_flag("--print-config", o.print_config, "Print every key as it ends up, and stop.");
  b.finish = [&o, given] {
    take_config(*given, o.config, o.overrides);
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
  b.app.add_option("--config", o.config, "Configuration that names the data; default: the run's.")
      ->type_name("FILE");
  choice_option(b.app, "--split", o.split, "Part of the data set to measure on.");
  b.app.add_option("--out", o.out, "Predictions file; default: predictions.csv in the run folder.")
      ->type_name("FILE");
  b.app.add_flag("--json", o.json, "Print the measures as JSON (schema 1).");
}

void metrics(const CliBuilder& b) {
  auto& o = b.options<MetricsOptions>();
  b.app
      .add_option("PREDICTIONS", o.predictions_csv,
                  "CSV: path,class,valence,arousal,p_0..,pred_valence,pred_arousal.")
      ->required()
      ->type_name("");
  b.app.add_option("--classes", o.classes, "Number of classes K; default: the number of p_k.")
      ->type_name("K")
      ->check(CLI::Range(2, 32).description(""));
  key_option(b.app, "--bins", "calibration.bins", [&o](const ConfigRow&, const JsonNode& node) {
    o.bins = static_cast<int>(node.integer);
  });
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
  b.app.add_option("--features", o.features, "Also write the features [N, C] to this .npy file.")
      ->type_name("FILE");
}

void info(const CliBuilder& b) {
  auto& o = b.options<InfoOptions>();
  const auto given = std::make_shared<Positionals>();
  b.app.add_option("CONFIG", *given, "Configuration file, then overrides of its keys.")
      ->type_name("");
  b.app
      .add_option("--plan-for", o.plan_for,
                  "Plan the program for a GPU that is not there: sm75, sm80, sm90 or a file of its "
                  "properties.")
      ->type_name("GPU");
  b.finish = [&o, given] {
    take_config(*given, o.config, o.overrides);
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
    {"synth", synth, "--out DIR [options]",
     "Draw synthetic faces, to try everything without a data set.",
     "  affuse synth --out faces\n"
     "  affuse synth --out big --train 60000 --size 224 --layout csv"},
    {"labels", labels, "--manifest FILE | --config CONFIG [key.path=value ...] [--out DIR]",
     "Fit the label model: class distributions from valence and arousal.",
     "  affuse labels --manifest train.csv --out labels\n"
     "  affuse labels --config configs/csv.json label_model.kind=gmm"},
    {"train", train, "CONFIG [key.path=value ...] [--out RUN] [--resume RUN] [options]",
     "Train a network. The main job.",
     "  affuse train configs/quickstart.json\n"
     "  affuse train configs/affectnet.json data.root=/data/AffectNet train.precision=bf16\n"
     "  affuse train configs/csv.json 'augment.scale=[1.0, 1.1]' --print-config\n"
     "  affuse train --resume runs/quickstart-1 train.epochs=12"},
    {"eval", eval, "PATH [--config CONFIG] [key.path=value ...] [--split val] [--json]",
     "Measure trained weights on a data set.",
     "  affuse eval runs/quickstart-1\n"
     "  affuse eval best.safetensors --config configs/csv.json --json"},
    {"metrics", metrics, "PREDICTIONS.csv [--json]",
     "The same measures from a file of predictions of any program.",
     "  affuse metrics runs/quickstart-1/predictions.csv\n"
     "  affuse metrics predictions.csv --json > measures.json"},
    {"predict", predict, "WEIGHTS IMAGE|DIR|CSV ... [--json] [--features F.npy]",
     "Class probabilities, valence and arousal of images.",
     "  affuse predict runs/quickstart-1/checkpoints/best.safetensors face.jpg\n"
     "  affuse predict best.safetensors photos/ --json > faces.jsonl"},
    {"info", info, "[CONFIG] [key.path=value ...] [--plan-for GPU]",
     "Devices and versions; for a configuration its program and memory.",
     "  affuse info\n"
     "  affuse info configs/affectnet.json train.batch_size=64\n"
     "  affuse info configs/affectnet.json train.precision=fp16 --plan-for sm90"},
};

}  // namespace

std::span<const CliCommand> cli_commands() { return kCommands; }

}  // namespace affuse
