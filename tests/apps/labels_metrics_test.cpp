// The labels and metrics commands from file to file.
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "apps/commands/labels.h"
#include "apps/commands/metrics.h"
#include "data/csv.h"
#include "data/manifest.h"
#include "engine/error.h"
#include "engine/file.h"
#include "fmt/format.h"
#include "tests/data/affect_mixtures.h"

namespace affuse {
namespace {

class LabelsMetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fmt::format("{}affuse_{}_{}", testing::TempDir(), test->name(), ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const char* name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    write_file_atomic(path, std::string_view(text));
    return path;
  }

  /// A manifest of 200 faces; "Sad" has no sample, some annotations are missing.
  std::string manifest() const {
    const Annotations data = test::draw_affect(200, 1);
    std::string text = "path,class,valence,arousal\n";
    for (std::size_t i = 0; i < 200; ++i) {
      const bool no_class = i % 20 == 3, no_va = i % 20 == 5;
      text += fmt::format("\"a, {}.jpg\",{},", i,
                          no_class             ? ""
                          : data.labels[i] % 2 ? "Happy"
                                               : "Neutral");
      text += no_va ? ",\n"
                    : fmt::format("{},{}\n", std::clamp(data.valence[i], -1., 1.),
                                  std::clamp(data.arousal[i], -1., 1.));
    }
    return write("manifest.csv", text);
  }

  LabelsOptions labels_options() const {
    LabelsOptions options;
    options.manifest_csv = manifest();
    options.class_names = {"Neutral", "Happy", "Sad"};
    options.out_dir = folder_ + "/out/labels";
    return options;
  }

  std::string folder_;
};

template <class E, class Call>
std::string message(const Call& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(LabelsMetricsTest, WritesTheContractsFiles) {
  const LabelsOptions options = labels_options();
  const std::string summary = run_labels(options);
  EXPECT_NE(summary.find("Happy"), std::string::npos);
  const auto json = nlohmann::json::parse(read_text(options.out_dir + "/labels.json"));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["kind"], "gmm");
  EXPECT_EQ(json["classes"], (std::vector<std::string>{"Neutral", "Happy", "Sad"}));
  for (const char* key : {"counts", "weights", "pi", "mu", "sigma", "kept"}) {
    EXPECT_EQ(json[key].size(), 3u) << key;
  }
  EXPECT_EQ(json["sigma"][0][0].size(), 2u);
  EXPECT_EQ(json["trim"], 1.0);
  EXPECT_EQ(json["noise_aware"]["components"][1].size(), 3u);
  for (const char* key : {"w", "mu", "sigma"}) {
    EXPECT_TRUE(json["noise_aware"]["components"][0][0].contains(key)) << key;
  }
  EXPECT_TRUE(json["noise_aware"]["e"].is_number());

  const CsvTable table = CsvTable::read(options.out_dir + "/labels.csv");
  EXPECT_EQ(table.header(),
            (std::vector<std::string>{"path", "class", "valence", "arousal", "p_gmm_0", "p_gmm_1",
                                      "p_gmm_2", "p_euclid_0", "p_euclid_1", "p_euclid_2",
                                      "p_noise_aware_0", "p_noise_aware_1", "p_noise_aware_2",
                                      "p_fused_0", "p_fused_1", "p_fused_2"}));
  ASSERT_EQ(table.rows(), 200u);
  EXPECT_EQ(table.text(7, 0), "a, 7.jpg");
  EXPECT_EQ(table.text(3, 1), "");
  EXPECT_EQ(table.text(5, 4), "") << "no VA, no posterior";
  EXPECT_EQ(table.number(5, 13) + table.number(5, 14), 1) << "one-hot";
  const bool happy = table.text(7, 1) == "Happy";
  EXPECT_EQ(table.number(7, 14), (happy ? .5 : 0.) + .5 * table.number(7, 5))
      << "digits round-trip";
}

TEST_F(LabelsMetricsTest, LabelsJsonComesBack) {
  LabelsOptions options = labels_options();
  options.model.noise = NoiseMatrix::full;
  options.model.kind = LabelKind::noise_aware;
  run_labels(options);
  const StoredLabelModel stored =
      parse_labels_json(read_text(options.out_dir + "/labels.json"), "x");
  EXPECT_EQ(stored.classes, options.class_names);
  EXPECT_EQ(stored.model.options.kind, LabelKind::noise_aware);
  // The stored model labels the set exactly as the fitted one did.
  const Manifest manifest = read_csv_manifest(options.manifest_csv, options.class_names);
  const std::string again = folder_ + "/again.csv";
  write_labels_csv(again, manifest, annotations_of(manifest), stored.model, 0);
  EXPECT_EQ(read_text(again), read_text(options.out_dir + "/labels.csv"));
}

TEST_F(LabelsMetricsTest, RefusesBrokenLabelsJson) {
  LabelsOptions options = labels_options();
  run_labels(options);
  const auto good = nlohmann::json::parse(read_text(options.out_dir + "/labels.json"));
  const auto refused = [&](const char* path, const nlohmann::json& value) {
    auto bad = good;
    bad[nlohmann::json::json_pointer(path)] = value;
    return message<Error>([&] { parse_labels_json(bad.dump(), "l.json"); });
  };
  EXPECT_EQ(refused("/schema", 2), "l.json: schema: needs to be 1");
  EXPECT_EQ(refused("/pi/1", "a"), "l.json: pi[1]: needs to be a number in [0, 1]");
  EXPECT_EQ(refused("/counts/0", -1), "l.json: counts[0]: needs to be a whole number, 0 or more");
  EXPECT_EQ(refused("/mu", 3), "l.json: mu: needs to be an array of 3 to 3 entries");
  EXPECT_EQ(refused("/sigma/0/0/1", 9), "l.json: sigma[0]: is not positive definite");
  EXPECT_NE(refused("/kind", "gm").find("unknown kind"), std::string::npos);
  EXPECT_NE(refused("/noise_aware/components/1", nlohmann::json::array()).find("components[1]"),
            std::string::npos);
  EXPECT_EQ(message<DataError>([] { parse_labels_json("{", "l.json"); }), "l.json: is not JSON");
  EXPECT_EQ(message<DataError>([] { parse_labels_json("[]", "l.json"); }),
            "l.json: key schema is missing");
}

TEST_F(LabelsMetricsTest, ClassesAreNumbersWithoutNames) {
  LabelsOptions options;
  options.manifest_csv =
      write("m.csv", "path,class,valence,arousal\na,0,.1,.2\nb,2,.3,.1\nc,2,.2,.5\n");
  options.out_dir = folder_;
  run_labels(options);
  EXPECT_EQ(nlohmann::json::parse(read_text(folder_ + "/labels.json"))["classes"],
            (std::vector<int>{0, 1, 2}));
  options.classes = 5;
  run_labels(options);
  EXPECT_EQ(nlohmann::json::parse(read_text(folder_ + "/labels.json"))["counts"],
            (std::vector<int>{1, 0, 2, 0, 0}));
  options.classes = 2;
  EXPECT_NE(message<DataError>([&] { run_labels(options); }).find("m.csv:3"), std::string::npos);
  options.classes = 33;
  EXPECT_THROW(run_labels(options), ConfigError);
}

TEST_F(LabelsMetricsTest, LabelsRefusesAnEmptyManifest) {
  LabelsOptions options;
  options.manifest_csv = write("m.csv", "path,class,valence,arousal\n");
  EXPECT_NE(message<DataError>([&] { run_labels(options); }).find("m.csv"), std::string::npos);
  options.manifest_csv = write("m.csv", "path,class,valence,arousal\na,0,,\n");
  EXPECT_NE(message<DataError>([&] { run_labels(options); }).find("m.csv"), std::string::npos);
}

TEST_F(LabelsMetricsTest, MetricsOfAFile) {
  MetricsOptions options;
  options.predictions_csv = write("p.csv",
                                  "path,class,valence,arousal,p_0,p_1,pred_valence,pred_arousal\n"
                                  "a,0,.5,-.5,.75,.25,.25,-.5\n"
                                  "b,1,-.5,,.75,.25,-.25,0\n"
                                  "c,,.1,.1,,,,\n");
  options.json = true;
  options.out_file = folder_ + "/metrics.json";
  const std::string text = run_metrics(options);
  EXPECT_EQ(text, read_text(options.out_file));
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["n"], 3);
  EXPECT_EQ(json["accuracy"], .5);
  EXPECT_EQ(json["confusion"], (std::vector<std::vector<int>>{{1, 0}, {1, 0}}));
  EXPECT_EQ(json["valence"]["rmse"], .25);
  EXPECT_EQ(json["arousal"]["rmse"], 0);
  options.json = false;
  options.class_names = {"calm", "glad"};
  EXPECT_NE(run_metrics(options).find("glad"), std::string::npos);
}

TEST_F(LabelsMetricsTest, MetricsRefusesBadFilesWithTheirPlace) {
  const auto refused = [&](const std::string& text, int classes = 0) {
    const std::string path = write("p.csv", text);
    const std::string what = message<DataError>([&] { read_predictions(path, classes); });
    EXPECT_TRUE(what.starts_with(path + ":")) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos);
    return what.substr(path.size());
  };
  EXPECT_EQ(refused("class,p_0,p_1\n0,.5,.5\n2,.5,.5\n").substr(0, 10), ":3: class:");
  EXPECT_EQ(refused("class,p_0,p_1\nhappy,.5,.5\n").substr(0, 10), ":2: class:");
  EXPECT_NE(refused("class,p_0,p_1\n0,1.5,1.5\n").find("sum to 3"), std::string::npos);
  EXPECT_NE(refused("class,p_0,p_1\n0,-.5,1.5\n").find("not a probability"), std::string::npos);
  EXPECT_NE(refused("class,p_0,p_1\n0,,1\n").find("all or none"), std::string::npos);
  EXPECT_NE(refused("valence,pred_valence\n-2,.5\n").find("outside [-1, 1]"), std::string::npos);
  EXPECT_NE(refused("class,p_0,p_1\n0,.5,.5\n", 3).find("has 3 classes"), std::string::npos);
  EXPECT_NE(refused("path,class\na,0\n").find("no predictions"), std::string::npos);
  EXPECT_NE(refused("class,p_0,p_1\n").find("no rows"), std::string::npos);
}

}  // namespace
}  // namespace affuse
