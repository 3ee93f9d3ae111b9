// `affuse labels --config`: the labels that training with that configuration uses.
#include <filesystem>
#include <fstream>

#include "apps/commands/labels.h"
#include "apps/config/load.h"
#include "apps/trainer/dataset.h"
#include "data/csv.h"
#include "engine/philox.h"
#include "fmt/format.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

class LabelsConfig : public testing::Test {
 protected:
  void SetUp() override {
    // Of its own, since ctest runs the tests of a fixture beside each other.
    folder_ = testing::TempDir() + "labels_config_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("train.csv", 200, 1);
    write("val.csv", 20, 2);
  }

  void write(const char* name, int rows, std::uint64_t seed) const {
    Philox random(seed, Purpose::test);
    std::ofstream out(folder_ + "/" + name);
    out << "path,class,valence,arousal\n";
    for (int i = 0; i < rows; ++i) {
      const int k = i % 3;
      out << fmt::format("{}{}.png,{},{:.6f},{:.6f}\n", name, i, k,
                         0.5 * k - 0.5 + 0.1 * random.normal(), 0.1 * random.normal());
    }
  }

  Config config(double rate) const {
    return parse_config(
        fmt::format(R"({{"data": {{"kind": "csv", "train": "{0}/train.csv", "val": "{0}/val.csv",
                         "classes": ["a", "b", "c"]}},
                         "noise": {{"rate": {1}}}, "label_model": {{"kind": "gmm"}},
                         "fusion": {{"alpha": 0.4}}}})",
                    folder_, rate),
        "test.json");
  }

  std::string folder_;
};

TEST_F(LabelsConfig, ClassesAreFlippedAndFusedAsInTraining) {
  const Config c = config(0.3);
  run_labels(c, folder_ + "/out");
  const CsvTable labels = CsvTable::read(folder_ + "/out/labels.csv");
  const CsvTable clean = CsvTable::read(folder_ + "/train.csv");
  ASSERT_EQ(labels.rows(), clean.rows());
  const Manifest train = open_manifests(c).train;
  const TrainingLabels training = prepare_labels(c, train);
  Annotations noisy = annotations_of(train);
  noisy.labels = training.noisy;
  const SoftLabels soft = soft_labels(training.model, noisy, training.alpha);
  int flipped = 0;
  for (std::size_t i = 0; i < labels.rows(); ++i) {
    const std::string own = labels.text(i, labels.require("class"));
    const auto annotated = static_cast<std::size_t>(clean.number(i, clean.require("class")));
    flipped += own != train.classes[annotated];
    EXPECT_EQ(own, train.classes[static_cast<std::size_t>(training.noisy[i])]);
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_EQ(labels.number(i, labels.require(fmt::format("p_fused_{}", k))), soft.p[3 * i + k]);
  }
  EXPECT_EQ(flipped, 60);
}

TEST_F(LabelsConfig, FusedColumnsAreSmoothedAsInTraining) {
  Config c = config(0);
  run_labels(c, folder_ + "/sharp");
  c.loss.label_smoothing = 0.3;
  run_labels(c, folder_ + "/smooth");
  const CsvTable sharp = CsvTable::read(folder_ + "/sharp/labels.csv");
  const CsvTable smooth = CsvTable::read(folder_ + "/smooth/labels.csv");
  const math::TargetModel<float> device = prepare_labels(c, open_manifests(c).train).target;
  for (std::size_t i = 0; i < sharp.rows(); ++i) {
    const auto at = [&](const char* name) {
      return static_cast<float>(sharp.number(i, sharp.require(name)));
    };
    float q[3];
    math::training_target(device,
                          math::Annotation<float>{static_cast<int>(i % 3), true, at("valence"),
                                                  at("arousal"), nullptr},
                          q);
    for (std::size_t k = 0; k < 3; ++k) {
      const std::string fused = fmt::format("p_fused_{}", k), gmm = fmt::format("p_gmm_{}", k);
      const double got = smooth.number(i, smooth.require(fused));
      EXPECT_NEAR(got, 0.7 * sharp.number(i, sharp.require(fused)) + 0.1, 1e-15);
      EXPECT_NEAR(got, double{q[k]}, 1e-5);
      EXPECT_EQ(smooth.number(i, smooth.require(gmm)), sharp.number(i, sharp.require(gmm)));
    }
  }
}

TEST_F(LabelsConfig, WithoutNoiseTheClassesStay) {
  run_labels(config(0), folder_ + "/out");
  const CsvTable labels = CsvTable::read(folder_ + "/out/labels.csv");
  const char* names[] = {"a", "b", "c"};
  for (std::size_t i = 0; i < labels.rows(); ++i)
    EXPECT_EQ(labels.text(i, labels.require("class")), names[i % 3]);
}

}  // namespace
}  // namespace affuse
