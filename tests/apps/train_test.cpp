// `affuse train`: what a run leaves, what it takes, what it refuses.
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "apps/config/load.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/run_folder.h"
#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Paths of the regular files below a folder, relative and sorted; hidden ones are the tests' own.
Arguments files_in(const std::string& folder) {
  Arguments names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && !name.starts_with(".")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

const Arguments kMeasures = {"val_loss",     "accuracy",    "macro_f1",    "rmse_valence",
                             "rmse_arousal", "ccc_valence", "ccc_arousal", "ece"};

TEST(Train, LeavesTheContractsRunFolder) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const std::string table = affuse_ok(
      folder, {"train", "c.json", "--out", "run", "swa.enabled=true", "swa.start_epoch=2"});
  EXPECT_TRUE(contains(table, "macro-F1")) << table;
  EXPECT_EQ(files_in(folder / "run"),
            (Arguments{"checkpoints/best.safetensors", "checkpoints/last.safetensors",
                       "checkpoints/prev.safetensors", "checkpoints/swa.safetensors", "config.json",
                       "labels.json", "metrics.csv", "predictions.csv", "run.log", "scan.csv",
                       "skipped.csv", "status.json", "steps.csv"}));

  const CsvTable steps = CsvTable::read(folder / "run/steps.csv");
  EXPECT_EQ(steps.header(), (Arguments{"step", "epoch", "loss", "loss_ce", "loss_cs", "loss_l2",
                                       "lr", "images_per_s"}));
  ASSERT_EQ(steps.rows(), 12u);
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(steps.number(i, 0), static_cast<double>(i + 1));
    EXPECT_EQ(steps.number(i, 1), i < 6 ? 1 : 2);
    const double sum = steps.number(i, 3) + steps.number(i, 4) + steps.number(i, 5);
    EXPECT_NEAR(steps.number(i, 2), sum, 1e-6 * sum) << "Eq. 9, coefficients 1";
  }

  const CsvTable metrics = CsvTable::read(folder / "run/metrics.csv");
  Arguments header = {"epoch", "train_loss"};
  header.insert(header.end(), kMeasures.begin(), kMeasures.end());
  for (const char* name : {"lr", "seconds", "images_per_s"}) header.emplace_back(name);
  for (const std::string& name : kMeasures) header.push_back(name + "_swa");
  EXPECT_EQ(metrics.header(), header);
  ASSERT_EQ(metrics.rows(), 2u);
  double loss = 0;
  for (std::size_t i = 0; i < 6; ++i) loss += steps.number(i, 2) / 6;
  EXPECT_NEAR(metrics.number(0, 1), loss, 1e-6) << "batches of equal size";
  EXPECT_EQ(metrics.text(0, metrics.find("accuracy_swa")), "") << "SWA starts in epoch 2";
  EXPECT_GT(metrics.number(1, metrics.find("val_loss_swa")), 0);

  const json status = json::parse(read_text(folder / "run/status.json"));
  EXPECT_EQ(status["state"], "done");
  EXPECT_EQ(status["epoch"], 2);
  EXPECT_EQ(read_text(folder / "run/skipped.csv"), "path,reason\n");
  EXPECT_TRUE(contains(read_text(folder / "run/run.log"), "epoch 2/2: train loss"));
  EXPECT_EQ(CsvTable::read(folder / "run/predictions.csv").rows(), 48u);
}

TEST(Train, WeightsCarryTheNamesOfTorchvisionAndAllThatPredictNeeds) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  affuse_ok(folder, {"train", "c.json", "--out", "run", "train.epochs=1"});
  const Weights weights = read_weights(folder / "run/checkpoints/best.safetensors");
  EXPECT_EQ(weights.tensors.size(), 122u + 2) << "torchvision's resnet18 with two heads for one";
  for (const char* name : {"conv1.weight", "layer1.0.bn1.running_mean", "fc_class.weight",
                           "layer4.1.bn2.num_batches_tracked", "fc_va.bias"})
    EXPECT_TRUE(weights.tensors.contains(name)) << name;
  EXPECT_EQ(weights.tensors.at("bn1.num_batches_tracked").integers, std::vector<std::int64_t>{6});
  const ModelCard card = read_card(weights.metadata, "best");
  EXPECT_EQ(card.classes.size(), 8u);
  EXPECT_EQ(card.network.image_size, 32);
  EXPECT_EQ(card.network.width, 0.25);
  EXPECT_EQ(card.label_model, read_text(folder / "run/labels.json"));
}

TEST(Train, ConfigurationComesBackFromTheRunAndFromPrintConfig) {
  const Folder folder;
  write_config(folder, "synthetic");
  const Arguments overrides = {"train.epochs=1", "noise.rate=0.25", "label_model.kind=euclid",
                               "optimizer.lr=0.002"};
  Arguments arguments = {"train", "c.json", "--print-config"};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  const std::string printed = affuse_ok(folder, arguments);
  EXPECT_EQ(files_in(folder.path()), Arguments{"c.json"}) << "nothing was drawn or made";
  folder.write("printed.json", printed);
  EXPECT_EQ(affuse_ok(folder, {"train", "printed.json", "--print-config"}), printed);

  arguments = {"train", "c.json", "--out", "run"};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  affuse_ok(folder, arguments);
  const std::string own = folder / "run/config.json";
  EXPECT_EQ(load_config(own), load_config(folder / "c.json", overrides));
  EXPECT_EQ(load_config(own).label_model.kind, Config::LabelModel::Kind::euclid);
  const json written = json::parse(read_text(own));
  for (const char* key : {"affuse", "device", "hardware", "libraries"})
    EXPECT_TRUE(written["versions"].contains(key)) << key;
  EXPECT_TRUE(fs::exists(folder / "faces/train_set/images/95.jpg")) << "drawn on the first run";
}

TEST(Train, ReadsAffectNetsLayout) {
  const Folder folder;
  draw_faces(folder, "affectnet_npy");
  write_config(folder, "affectnet_npy");
  affuse_ok(folder, {"train", "c.json", "train.epochs=1", "--quiet"});
  affuse_ok(folder, {"train", "c.json", "train.epochs=1", "train.limit_batches=1", "--quiet"});
  const auto rows = [&](const char* run) {
    return CsvTable::read(folder / ("runs/" + std::string(run) + "/steps.csv")).rows();
  };
  EXPECT_EQ(rows("c-1"), 6u);
  EXPECT_EQ(rows("c-2"), 1u);
}

TEST(Train, DryRunLeavesNothing) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const Arguments before = files_in(folder.path());
  const std::string text = affuse_ok(folder, {"train", "c.json", "--dry-run", "--out", "run"});
  for (const char* part : {"step 2", "evaluation", "memory", "disk", "nothing was written"})
    EXPECT_TRUE(contains(text, part)) << text;
  EXPECT_EQ(files_in(folder.path()), before);
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Train, MixesAloneAndWithNoiseAwareFusion) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const auto losses = [&](const std::string& name, const Arguments& more) {
    Arguments all = {"train", "c.json", "--out", name, "--quiet", "augment.mixup=0.2"};
    all.insert(all.end(), more.begin(), more.end());
    affuse_ok(folder, all);
    const CsvTable steps = CsvTable::read(folder / name + "/steps.csv");
    EXPECT_EQ(steps.rows(), 12u);
    std::vector<double> column;
    for (std::size_t i = 0; i < steps.rows(); ++i) column.push_back(steps.number(i, 2));
    return column;
  };
  const auto alone = losses("alone", {"label_model.kind=onehot"});
  for (const double loss : alone) EXPECT_TRUE(std::isfinite(loss));
  for (const double loss : losses("fused", {"label_model.kind=noise_aware", "noise.rate=0.2"}))
    EXPECT_TRUE(std::isfinite(loss));
  // Off with all augmentation, whatever the parameter.
  EXPECT_EQ(losses("off", {"augment.enabled=false"}),
            losses("zero", {"augment.enabled=false", "augment.mixup=0"}));
  EXPECT_NE(alone, losses("without", {"label_model.kind=onehot", "augment.mixup=0"}));
}

TEST(Train, TakesAFullFolderOnlyWithOverwriteAndNeverALockedOne) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const Arguments arguments = {"train", "c.json", "--out", "run", "train.epochs=1"};
  affuse_ok(folder, arguments);
  const std::string best = read_text(folder / "run/checkpoints/best.safetensors");
  EXPECT_TRUE(contains(complaint(affuse(folder, arguments), 2), "run: this folder is not empty"));
  {
    const RunFolder locked = RunFolder::open(folder / "run");
    for (const Arguments& other : {Arguments{"train", "c.json", "--out", "run", "--overwrite"},
                                   Arguments{"train", "--resume", "run", "train.epochs=2"}})
      EXPECT_TRUE(contains(complaint(affuse(folder, other), 2), "is writing to this run folder"));
  }
  EXPECT_EQ(read_text(folder / "run/checkpoints/best.safetensors"), best);
  affuse_ok(folder, {"train", "c.json", "--out", "run", "train.epochs=1", "--overwrite"});
  EXPECT_EQ(read_text(folder / "run/checkpoints/best.safetensors"), best) << "the same seed";
}

TEST(Train, RefusesInOneLine) {
  const Folder folder;
  write_config(folder, "csv");
  const auto refused = [&](const Arguments& overrides, int status) {
    Arguments arguments = {"train", "c.json", "--out", "run"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    return complaint(affuse(folder, arguments), status);
  };
  EXPECT_EQ(refused({"loss.alhpa=1"}, 2).substr(0, 23), "argument 'loss.alhpa=1'");
  EXPECT_TRUE(contains(refused({}, 1), "faces/train.csv")) << "the set is missing";
  folder.write("typo.json", "{\n  // a comment\n  \"train\": {\"epochz\": 3}\n}\n");
  EXPECT_EQ(complaint(affuse(folder, {"train", "typo.json"}), 2),
            "typo.json:3: train.epochz: unknown key; did you mean train.epochs?");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  EXPECT_TRUE(contains(refused({"train.precision=fp16"}, 2), "train.precision")) << "on the CPU";
  if (contains(affuse_ok(folder, {"info"}), "cuda: this build has no CUDA")) {
    EXPECT_TRUE(contains(refused({"train.device=cuda"}, 2), "train.device: "));
  }
  draw_faces(folder, "csv");
  affuse_ok(folder, {"train", "c.json", "--out", "run", "train.epochs=1"});  // not taken by then
}

TEST(Train, Bf16TrainsAndSaysWhereItIsEmulated) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const Outcome run =
      affuse(folder, {"train", "c.json", "--out", "run", "train.precision=bf16", "--quiet"});
  EXPECT_EQ(run.status, 0) << run.err;
  const bool emulated = contains(affuse_ok(folder, {"info"}), "bf16 convolutions are emulated");
  EXPECT_EQ(contains(run.err, "warning: bf16 convolutions are emulated"), emulated) << run.err;
  const CsvTable steps = CsvTable::read(folder / "run/steps.csv");
  affuse_ok(folder, {"train", "c.json", "--out", "fp32", "train.epochs=1"});
  const CsvTable exact = CsvTable::read(folder / "fp32/steps.csv");
  EXPECT_NEAR(steps.number(0, 2), exact.number(0, 2), .02 * exact.number(0, 2));
  EXPECT_NE(steps.text(0, 2), exact.text(0, 2));
}

}  // namespace
}  // namespace affuse::test
