// calibration.holdout: what is kept from training, the temperature, and who uses it.
#include <cmath>

#include <nlohmann/json.hpp>

#include "tests/apps/run_ranks.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kBest = "run/checkpoints/best.safetensors";
constexpr int kClasses = 8;

/// Mean -log p_class of softmax(log p / t), in double, on the rows that have a class.
double nll_of(const CsvTable& table, double t) {
  double sum = 0, n = 0;
  const int first = table.find("p_0"), label = table.find("class");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (table.text(row, label).empty()) continue;
    double mass = 0;
    for (int k = 0; k < kClasses; ++k) mass += std::exp(std::log(table.number(row, first + k)) / t);
    const int own = static_cast<int>(table.number(row, label));
    sum += std::log(mass) - std::log(table.number(row, first + own)) / t;
    ++n;
  }
  return sum / n;
}

/// The temperature of a predictions file by golden-section search over log T.
double golden_temperature(const std::string& file) {
  const CsvTable table = CsvTable::read(file);
  const double ratio = (std::sqrt(5.) - 1) / 2;
  double low = std::log(.01), high = std::log(100.);
  while (high - low > 1e-9) {
    const double a = high - ratio * (high - low), b = low + ratio * (high - low);
    (nll_of(table, std::exp(a)) < nll_of(table, std::exp(b)) ? high : low) =
        nll_of(table, std::exp(a)) < nll_of(table, std::exp(b)) ? b : a;
  }
  return std::exp((low + high) / 2);
}

class HoldoutRun : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
  }
  static Arguments train(const std::string& out, const Arguments& more = {}) {
    Arguments all = {"train", "c.json", "--out", out, "--quiet", "train.epochs=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string ok(const Arguments& arguments) const { return affuse_ok(folder_, arguments); }
  json measures(const Arguments& arguments) const { return json::parse(ok(arguments)); }
  std::string bytes(const std::string& name) const { return read_text(folder_ / name); }
  double temperature_of(const std::string& weights) const {
    return std::stod(read_weights(folder_ / weights).metadata.at("temperature"));
  }
  /// Rewrites the training table: `edit` gets each row's number and its cells.
  template <class Edit>
  void edit_train_table(const std::string& more_columns, const Edit& edit) {
    const CsvTable table = CsvTable::read(folder_ / "faces/train.csv");
    std::string text = "path,class,valence,arousal" + more_columns + "\n";
    for (std::size_t row = 0; row < table.rows(); ++row) {
      Arguments cells;
      for (const char* name : {"path", "class", "valence", "arousal"})
        cells.push_back(table.text(row, table.find(name)));
      edit(row, cells);
      for (std::size_t c = 0; c < cells.size(); ++c) text += (c > 0 ? "," : "") + cells[c];
      text += "\n";
    }
    folder_.write("faces/train.csv", text);
  }

  const Folder folder_;
};

TEST_F(HoldoutRun, TheTemperatureIsTheHeldOutFacesOwnAndEverybodyUsesIt) {
  const std::string text = ok(
      train("run", {"calibration.holdout=0.25", "noise.rate=0.3", "calibration.target=annotated"}));
  EXPECT_TRUE(contains(text, "T fitted on training samples held out")) << text;
  const CsvTable held = CsvTable::read(folder_ / "run/holdout_predictions.csv");
  EXPECT_EQ(held.rows(), 24u);
  EXPECT_EQ(CsvTable::read(folder_ / "run/steps.csv").rows(), 5u) << "72 of 96 faces train";
  const double t = temperature_of(kBest);
  EXPECT_NEAR(t, golden_temperature(folder_ / "run/holdout_predictions.csv"), 1e-6 * t);
  EXPECT_EQ(json::parse(bytes("run/status.json"))["temperature"], t);
  EXPECT_FALSE(
      read_weights(folder_ / "run/checkpoints/last.safetensors").metadata.contains("temperature"))
      << "it belongs to the selected weights";

  const std::string predictions = bytes("run/predictions.csv");
  const json eval = measures({"eval", "run", "--json"})["calibration"];
  EXPECT_EQ(bytes("run/predictions.csv"), predictions) << "never scaled";
  EXPECT_EQ(eval["temperature"], t);
  EXPECT_EQ(eval["temperature_from"], "holdout");
  EXPECT_NEAR(eval["scaled"]["nll"].get<double>(),
              nll_of(CsvTable::read(folder_ / "run/predictions.csv"), t), 1e-9);
  EXPECT_EQ(measures({"eval", kBest, "--config", "c.json", "--json"})["calibration"], eval);

  const json own = measures({"metrics", "run/predictions.csv", "--json"})["calibration"];
  EXPECT_EQ(own["temperature_from"], "predictions");
  EXPECT_LE(own["scaled"]["nll"].get<double>(), eval["scaled"]["nll"].get<double>());
  const json given = measures({"metrics", "run/predictions.csv", "--json", "--temperature",
                               std::to_string(2.5)})["calibration"];
  EXPECT_EQ(given["temperature"], 2.5);
  EXPECT_EQ(given["temperature_from"], "given");
  const json again = measures({"metrics", "run/holdout_predictions.csv", "--json"})["calibration"];
  EXPECT_NEAR(again["temperature"].get<double>(), t, 1e-9 * t) << "anyone can refit it";
}

TEST_F(HoldoutRun, PredictScalesOnRequestAndRefusesWithoutATemperature) {
  ok(train("run", {"calibration.holdout=0.25"}));
  const double t = temperature_of(kBest);
  const auto first = [&](const Arguments& more) {
    Arguments all = {"predict", kBest, "faces/images/val/0.jpg", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return json::parse(ok(all))["probabilities"].get<std::map<std::string, double>>();
  };
  const auto raw = first({}), scaled = first({"--calibrated"});
  double mass = 0;
  for (const auto& [name, p] : raw) mass += std::pow(p, 1 / t);
  for (const auto& [name, p] : raw) EXPECT_NEAR(scaled.at(name), std::pow(p, 1 / t) / mass, 1e-9);

  ok(train("plain"));
  const std::string what =
      complaint(affuse(folder_, {"predict", "plain/checkpoints/best.safetensors",
                                 "faces/images/val/0.jpg", "--calibrated"}),
                2);
  EXPECT_TRUE(contains(what, "--calibrated needs a temperature")) << what;
  Weights weights = read_weights(folder_ / kBest);
  for (const char* bad : {"0", "-1", "nan", "inf", "warm", ""}) {
    weights.metadata["temperature"] = bad;
    write_weights(folder_ / "bad.safetensors", weights);
    const std::string line =
        complaint(affuse(folder_, {"predict", "bad.safetensors", "faces/images/val/0.jpg"}), 1);
    EXPECT_TRUE(line.starts_with("bad.safetensors: ")) << line;
  }
}

TEST_F(HoldoutRun, WithoutItNothingChanges) {
  ok(train("plain"));
  ok(train("zero", {"calibration.holdout=0"}));
  for (const char* name : {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                           "predictions.csv", "status.json"})
    EXPECT_EQ(bytes(std::string("zero/") + name), bytes(std::string("plain/") + name)) << name;
  EXPECT_FALSE(read_weights(folder_ / "plain/checkpoints/best.safetensors")
                   .metadata.contains("temperature"));
  EXPECT_FALSE(fs::exists(folder_ / "plain/holdout_predictions.csv"));
  EXPECT_FALSE(json::parse(bytes("plain/status.json")).contains("temperature"));
  EXPECT_EQ(measures({"eval", "plain", "--json"})["calibration"]["temperature_from"],
            "predictions");
}

TEST_F(HoldoutRun, AnyRoadToTheEndFitsTheSame) {
  for (const std::string select : {"best_macro_f1", "last", "swa"}) {
    const Arguments more = {"calibration.holdout=0.25",
                            "swa.enabled=true",
                            "swa.start_epoch=1",
                            "train.select=" + select,
                            "label_model.kind=noise_aware",
                            "calibration.target=fused"};
    Arguments whole = train("whole " + select, more);
    whole.emplace_back("train.epochs=3");
    ok(whole);
    ok(train("run " + select, more));
    ok({"train", "--resume", "run " + select, "train.epochs=3", "--quiet"});
    for (const char* name : {"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                             "checkpoints/swa.safetensors", "status.json", "predictions.csv",
                             "holdout_predictions.csv"})
      EXPECT_EQ(bytes("run " + select + "/" + name), bytes("whole " + select + "/" + name))
          << select << " " << name;
    const std::string file = select == "best_macro_f1" ? "best" : select;
    const double t = temperature_of("run " + select + "/checkpoints/" + file + ".safetensors");
    const json eval = measures({"eval", "run " + select, "--json"})["calibration"];
    EXPECT_EQ(eval["temperature"], t) << select;
    read_checkpoint(folder_ / ("run " + select) + "/checkpoints/last.safetensors");  // still whole
  }
  const std::string what = complaint(affuse(folder_, {"train", "--resume", "run last",
                                                      "calibration.holdout=0.1", "train.epochs=4"}),
                                     2);
  EXPECT_TRUE(contains(what, "calibration.holdout: 0.25 in the run, 0.1 now")) << what;
}

TEST_F(HoldoutRun, SubjectsStayTogetherAndDryRunCounts) {
  edit_train_table(",subject", [](std::size_t row, Arguments& cells) {
    if (row % 6 == 5) cells[1].clear();  // no class
    cells.push_back("s" + std::to_string(row % 16));
  });
  const std::string dry = ok({"train", "c.json", "--dry-run", "calibration.holdout=0.2"});
  ok(train("run", {"calibration.holdout=0.2"}));
  const CsvTable held = CsvTable::read(folder_ / "run/holdout_predictions.csv");
  std::size_t with_class = 0;
  std::map<std::string, int> faces;
  for (std::size_t row = 0; row < held.rows(); ++row) {
    with_class += !held.text(row, 1).empty();
    const std::string stem = fs::path(held.text(row, 0)).stem();
    ++faces[std::to_string(std::stoi(stem) % 16)];
  }
  for (const auto& [subject, count] : faces) EXPECT_EQ(count, 6) << "all faces of " << subject;
  EXPECT_NEAR(static_cast<double>(with_class), 16, 3) << "0.2 of 80";
  EXPECT_LT(with_class, held.rows());
  EXPECT_TRUE(contains(dry, "data        " + std::to_string(96 - held.rows()) + " training"))
      << dry;
  EXPECT_TRUE(contains(dry, std::to_string(held.rows()) + " more are held out, " +
                                std::to_string(with_class) + " with a class"))
      << dry;
}

TEST_F(HoldoutRun, TakesGivenLabelsAndFitsThem) {
  edit_train_table(",p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7", [](std::size_t, Arguments& cells) {
    for (int k = 0; k < kClasses; ++k) cells.emplace_back(k == 3 ? "0.3" : "0.1");
  });
  const Arguments given = {"calibration.holdout=0.3", "label_model.kind=given", "fusion.alpha=0"};
  ok(train("annotated", given));
  Arguments fused = given;
  fused.emplace_back("calibration.target=fused");
  ok(train("fused", fused));
  EXPECT_EQ(bytes("fused/holdout_predictions.csv"), bytes("annotated/holdout_predictions.csv"));
  const double t = temperature_of("fused/checkpoints/best.safetensors");
  EXPECT_NE(t, temperature_of("annotated/checkpoints/best.safetensors"));
  // At the optimum the mean logit under softmax(z / T) is the mean under q: 0.1 each, 0.3 the 4th.
  const CsvTable table = CsvTable::read(folder_ / "fused/holdout_predictions.csv");
  double predicted = 0, labelled = 0;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    double mass = 0, mean = 0;
    for (int k = 0; k < kClasses; ++k) {
      const double z = std::log(table.number(row, 4 + k));
      mass += std::exp(z / t);
      mean += z * std::exp(z / t);
      labelled += (k == 3 ? .3 : .1) * z;
    }
    predicted += mean / mass;
  }
  EXPECT_NEAR(predicted, labelled, 1e-6 * std::abs(labelled));
}

TEST_F(HoldoutRun, CorrectsForTheEstimatedShareOfWrongLabels) {
  const Arguments noisy = {"calibration.holdout=0.25", "noise.rate=0.3"};
  Arguments aware = noisy;
  aware.emplace_back("label_model.kind=noise_aware");
  const Outcome run = affuse(folder_, train("run", aware));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(read_text(folder_ / "run/run.log"), "fitted to corrected labels of 24"));
  Arguments onehot = noisy;
  onehot.emplace_back("label_model.kind=onehot");
  ok(train("onehot", onehot));
  for (const std::string name : {"run", "onehot"}) {
    const double e = json::parse(bytes(name + "/labels.json"))["noise_aware"]["e"];
    const CsvTable table = CsvTable::read(folder_ / name + "/holdout_predictions.csv");
    const auto loss = [&](double t) {  // A = 1 - e on the diagonal, e / (K - 1) off it
      double sum = 0;
      for (std::size_t row = 0; row < table.rows(); ++row) {
        double mass = 0, own = 0;
        for (int k = 0; k < kClasses; ++k) {
          const double w = std::exp(std::log(table.number(row, 4 + k)) / t);
          mass += w;
          if (k == static_cast<int>(table.number(row, 1))) own = w;
        }
        sum -= std::log((1 - e) * own / mass + e / (kClasses - 1) * (1 - own / mass));
      }
      return sum;
    };
    const double t = temperature_of(name + "/checkpoints/best.safetensors");
    for (double at = .01; at < 100; at *= 1.1) EXPECT_GE(loss(at) + 1e-9, loss(t)) << name;
  }
}

TEST_F(HoldoutRun, RefusesWhatCannotBeHeldOut) {
  const auto refused = [&](const std::string& share) {
    return complaint(affuse(folder_, train("none", {"calibration.holdout=" + share})), 2);
  };
  EXPECT_TRUE(
      contains(refused("0.001"), "0.001 of 96 training samples with a class holds out none"));
  EXPECT_TRUE(contains(refused("0.6"), "calibration.holdout"));
  edit_train_table(",subject", [](std::size_t, Arguments& cells) { cells.emplace_back("anna"); });
  EXPECT_TRUE(contains(refused("0.2"), "only whole subjects"));
  edit_train_table("", [](std::size_t, Arguments& cells) { cells[1].clear(); });
  EXPECT_TRUE(contains(complaint(affuse(folder_, train("none", {"calibration.holdout=0.2",
                                                                "label_model.kind=onehot"})),
                                 2),
                       "no training sample has a class"));
}

TEST_F(HoldoutRun, RanksShareTheSplitAndTheFirstFits) {
  Arguments arguments = train("run", {"calibration.holdout=0.25", "train.threads=1"});
  const std::vector<Outcome> outcomes = RanksByHand(folder_.path(), arguments).finish();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(CsvTable::read(folder_ / "run/holdout_predictions.csv").rows(), 24u);
  const double t = temperature_of(kBest);
  EXPECT_NEAR(t, golden_temperature(folder_ / "run/holdout_predictions.csv"), 1e-6 * t);
}

}  // namespace
}  // namespace affuse::test
