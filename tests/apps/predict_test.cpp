// `affuse eval` and `affuse predict`: the same answers, from a run folder and from a weights file.
#include <cmath>

#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/apps/run_affuse.h"
#include "weights/state_dict.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kBest = "run/checkpoints/best.safetensors";

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

/// Measures of a file have numbers for classes, those of a run their names.
json without_names(json measures) {
  for (json& row : measures["per_class"]) row.erase("class");
  return measures;
}

class Predict : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
    affuse_ok(folder_, {"train", "c.json", "--out", "run", "train.epochs=1", "train.select=swa",
                        "swa.enabled=true", "swa.start_epoch=1"});
  }
  std::string ok(const Arguments& arguments) { return affuse_ok(folder_, arguments); }
  const Folder folder_;
};

TEST_F(Predict, EvalMeasuresARunAndItsFileTellsTheSame) {
  const std::string trained = read_text(folder_ / "run/predictions.csv");
  fs::remove(folder_ / "run/predictions.csv");
  const json measures = json::parse(ok({"eval", "run", "--json"}));
  EXPECT_EQ(read_text(folder_ / "run/predictions.csv"), trained) << "the run's own selection: swa";
  EXPECT_EQ(measures["schema"], 1);
  EXPECT_EQ(measures["n"], 48);
  EXPECT_EQ(measures["per_class"][1]["class"], "Happy");
  const json again = json::parse(ok({"metrics", "run/predictions.csv", "--json"}));
  EXPECT_EQ(without_names(again), without_names(measures));
  const CsvTable epochs = CsvTable::read(folder_ / "run/metrics.csv");
  EXPECT_NEAR(epochs.number(0, epochs.find("macro_f1_swa")), measures["macro_f1"].get<double>(),
              1e-8);
  EXPECT_NEAR(epochs.number(0, epochs.find("ece_swa")),
              measures["calibration"]["ece"].get<double>(), 1e-8);
  EXPECT_TRUE(contains(ok({"eval", "run"}), "48 samples"));
  EXPECT_TRUE(contains(ok({"eval", "run", "--split", "train"}), "96 samples"));
}

TEST_F(Predict, EvalOfAWeightsFileNeedsAConfiguration) {
  const std::string what = complaint(affuse(folder_, {"eval", kBest}), 2);
  EXPECT_TRUE(contains(what, "--config")) << what;
  const json of_file =
      json::parse(ok({"eval", "run/checkpoints/swa.safetensors", "--config", "c.json", "--json"}));
  EXPECT_EQ(of_file, json::parse(ok({"eval", "run", "--json"})));
  // Another batch size is another program, with the same answers.
  ok({"eval", kBest, "--config", "c.json", "--out", "p.csv", "train.batch_size=7"});
  ok({"eval", kBest, "--config", "c.json", "--out", "q.csv"});
  const CsvTable p = CsvTable::read(folder_ / "p.csv"), q = CsvTable::read(folder_ / "q.csv");
  ASSERT_EQ(p.header(), q.header());
  for (std::size_t i = 0; i < 48; ++i)
    for (int c = 4; c < 14; ++c) EXPECT_NEAR(p.number(i, c), q.number(i, c), 1e-6);
  const std::string none = complaint(affuse(folder_, {"eval", "faces"}), 2);
  EXPECT_TRUE(contains(none, "faces")) << none;
  const std::string other =
      complaint(affuse(folder_, {"eval", kBest, "--config", "c.json",
                                 R"(data.classes=["0", "1", "2", "3", "4", "5", "6", "7"])"}),
                1);
  EXPECT_TRUE(contains(other, "classes")) << other;
}

TEST_F(Predict, GivesTheProbabilitiesOfEval) {
  ok({"eval", kBest, "--config", "c.json", "--out", "p.csv"});
  const CsvTable expected = CsvTable::read(folder_ / "p.csv");
  const auto lines = json_lines(ok({"predict", kBest, "faces/val.csv", "--json"}));
  ASSERT_EQ(lines.size(), 48u);
  for (std::size_t i = 0; i < 48; ++i) {
    EXPECT_EQ(lines[i]["schema"], 1);
    EXPECT_EQ(lines[i]["path"], "faces/" + expected.text(i, 0));
    double sum = 0, best = 0;
    int column = 4;
    for (const char* name :
         {"Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"}) {
      const double p = lines[i]["probabilities"][name];
      EXPECT_NEAR(p, expected.number(i, column++), 1e-6);
      sum += p;
      best = std::max(best, p);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_EQ(lines[i]["probabilities"][lines[i]["class"].get<std::string>()], best);
    EXPECT_NEAR(lines[i]["valence"].get<double>(), expected.number(i, 12), 1e-6);
    EXPECT_NEAR(lines[i]["arousal"].get<double>(), expected.number(i, 13), 1e-6);
  }
}

TEST_F(Predict, TakesImagesFoldersAndTablesTogether) {
  folder_.write("faces/images/notes.txt", "not an image, and no bad one either");
  const std::string face = "faces/images/val/7.jpg";
  const auto lines =
      json_lines(ok({"predict", kBest, face, "faces/images/val", "faces/val.csv", "--json"}));
  ASSERT_EQ(lines.size(), 1u + 48 + 48);
  EXPECT_EQ(lines[0]["path"], face);
  EXPECT_EQ(lines[1]["path"], "faces/images/val/0.jpg");
  EXPECT_EQ(lines[2]["path"], "faces/images/val/1.jpg");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i]["path"] != face) continue;
    EXPECT_EQ(lines[i], lines[0]) << "wherever it stands in a batch";
  }
  const std::string text = ok({"predict", kBest, face});
  EXPECT_TRUE(text.starts_with(face + "  ")) << text;
  EXPECT_TRUE(contains(text, "valence ") && contains(text, "arousal ")) << text;
}

TEST_F(Predict, WritesTheFeaturesThatTheHeadsSee) {
  const auto lines =
      json_lines(ok({"predict", kBest, "faces/val.csv", "--json", "--features", "f.npy"}));
  const NpyArray features = read_npy(folder_ / "f.npy");
  ASSERT_EQ(features.shape, (std::vector<std::int64_t>{48, 128}));
  const StateDict weights = read_weights(folder_ / kBest).tensors;
  const Tensor& w = weights.at("fc_va.weight");
  const Tensor& b = weights.at("fc_va.bias");
  for (std::size_t i = 0; i < 48; ++i) {
    double valence = double{b.values[0]};
    for (std::size_t c = 0; c < 128; ++c)
      valence += double{w.values[c]} * features.number(i * 128 + c);
    EXPECT_NEAR(std::tanh(valence), lines[i]["valence"].get<double>(), 1e-5) << i;
  }
}

TEST_F(Predict, LeavesOutABrokenImageAndSaysSo) {
  folder_.write("faces/images/val/20.jpg", "broken");
  const Outcome run = affuse(folder_, {"predict", kBest, "faces/images/val", "gone.png", "--json",
                                       "--quiet", "--features", "f.npy"});
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, "warning: faces/images/val/20.jpg: ")) << run.err;
  EXPECT_TRUE(contains(run.err, "warning: gone.png: ")) << run.err;
  EXPECT_EQ(json_lines(run.out).size(), 47u);
  EXPECT_EQ(read_npy(folder_ / "f.npy").shape.front(), 47);

  const std::string only = complaint(affuse(folder_, {"predict", kBest, "gone.png"}), 1);
  EXPECT_TRUE(only.starts_with("none of 1 images can be read: gone.png (")) << only;
  fs::create_directories(folder_ / "empty");
  EXPECT_TRUE(contains(complaint(affuse(folder_, {"predict", kBest, "empty"}), 1), "empty: "));
}

TEST_F(Predict, RefusesWeightsThatAreNone) {
  Weights weights = read_weights(folder_ / kBest);
  weights.metadata.erase("classes");
  write_weights(folder_ / "bare.safetensors", weights);
  const std::string face = "faces/images/val/0.jpg";
  const std::string bare = complaint(affuse(folder_, {"predict", "bare.safetensors", face}), 1);
  EXPECT_TRUE(bare.starts_with("bare.safetensors: ") && contains(bare, "classes")) << bare;
  folder_.write("cut.safetensors", read_text(folder_ / kBest).substr(0, 100000));
  const std::string cut = complaint(affuse(folder_, {"predict", "cut.safetensors", face}), 1);
  EXPECT_TRUE(cut.starts_with("cut.safetensors: ")) << cut;
  const std::string image = complaint(affuse(folder_, {"predict", face, face}), 1);
  EXPECT_TRUE(image.starts_with(face + ": ")) << image;
}

}  // namespace
}  // namespace affuse::test
