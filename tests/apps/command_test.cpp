// synth, labels, metrics and info as a user types them.
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::size_t count_files(const std::string& folder) {
  std::size_t n = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) n += entry.is_regular_file();
  return n;
}

TEST(Command, SynthDrawsBothLayouts) {
  const Folder folder;
  draw_faces(folder, "csv");
  EXPECT_EQ(count_files(folder / "faces"), 96u + 48 + 2);
  const CsvTable train = CsvTable::read(folder / "faces/train.csv");
  EXPECT_EQ(train.header(), (Arguments{"path", "class", "valence", "arousal"}));
  EXPECT_EQ(train.rows(), 96u);
  EXPECT_EQ(CsvTable::read(folder / "faces/val.csv").rows(), 48u);
  const Image face = read_image(folder / "faces/" + train.text(95, 0));
  EXPECT_EQ(face.width, 32);
  EXPECT_EQ(face.height, 32);

  affuse_ok(folder, {"synth", "--out", "deep/net", "--train", "10", "--val", "8", "--size", "16"});
  EXPECT_EQ(count_files(folder / "deep/net/train_set"), 10u * 4);
  EXPECT_EQ(count_files(folder / "deep/net/val_set/annotations"), 8u * 3);
  const double valence = read_npy(folder / "deep/net/val_set/annotations/0_val.npy").number();
  EXPECT_LE(std::abs(valence), 1);
}

TEST(Command, SynthIsAFunctionOfItsSeedAndRefusesAFolderInUse) {
  const Folder folder;
  draw_faces(folder, "csv");
  const auto draw = [&](const char* out, const char* seed) {
    affuse_ok(folder, {"synth", "--out", out, "--train", "96", "--val", "48", "--size", "32",
                       "--layout", "csv", "--seed", seed});
    return read_text(folder / std::string(out) + "/images/val/7.jpg") +
           read_text(folder / std::string(out) + "/train.csv");
  };
  const std::string first = draw("a", "1");
  EXPECT_EQ(first,
            read_text(folder / "faces/images/val/7.jpg") + read_text(folder / "faces/train.csv"));
  EXPECT_NE(first, draw("b", "2"));
  const Outcome again = affuse(folder, {"synth", "--out", "faces", "--train", "8", "--val", "8"});
  EXPECT_TRUE(contains(complaint(again, 2), "faces: ")) << again.err;
  EXPECT_EQ(count_files(folder / "faces"), 96u + 48 + 2) << "nothing was touched";
}

TEST(Command, LabelsOfAManifestWithoutItsImages) {
  const Folder folder;
  draw_faces(folder, "csv");
  fs::remove_all(folder / "faces/images");
  const std::string text =
      affuse_ok(folder, {"labels", "--manifest", "faces/train.csv", "--out", "labels"});
  EXPECT_TRUE(contains(text, "label model gmm, alpha 0.5")) << text;
  std::string header = "path,class,valence,arousal";
  for (const char* name : {"gmm", "euclid", "noise_aware", "fused"})
    for (int k = 0; k < 8; ++k) header += ",p_" + std::string(name) + "_" + std::to_string(k);
  const std::string csv = read_text(folder / "labels/labels.csv");
  EXPECT_EQ(csv.substr(0, csv.find('\n')), header);
  EXPECT_EQ(CsvTable::read(folder / "labels/labels.csv").rows(), 96u);

  const json labels = json::parse(read_text(folder / "labels/labels.json"));
  EXPECT_EQ(labels["schema"], 1);
  EXPECT_EQ(labels["kind"], "gmm");
  EXPECT_EQ(labels["trim"], 1.0);
  for (const char* key : {"classes", "counts", "weights", "pi", "mu", "sigma", "kept"})
    EXPECT_EQ(labels[key].size(), 8u) << key;
  EXPECT_EQ(labels["noise_aware"]["components"].size(), 8u);
  EXPECT_TRUE(labels["noise_aware"]["e"].is_number());
  const Outcome missing = affuse(folder, {"labels", "--manifest", "no.csv"});
  EXPECT_TRUE(contains(complaint(missing, 1), "no.csv")) << missing.err;
}

TEST(Command, MetricsOfAFile) {
  const Folder folder;
  folder.write("p.csv",
               "path,class,valence,arousal,p_0,p_1,pred_valence,pred_arousal\n"
               "a,0,.5,-.5,.75,.25,.25,-.5\nb,1,-.5,.25,.75,.25,-.25,0\n");
  const json all = json::parse(affuse_ok(folder, {"metrics", "p.csv", "--json"}));
  const auto keys = [](const json& object) {
    std::string names;
    for (const auto& [key, value] : object.items()) names += key + " ";
    return names;
  };
  EXPECT_EQ(keys(all),
            "accuracy arousal calibration confusion macro_f1 n per_class schema valence ");
  EXPECT_EQ(keys(all["per_class"][1]), "class f1 precision recall support ");
  EXPECT_EQ(keys(all["valence"]), "ccc pearson rmse sign_agreement ");
  for (const char* key :
       {"bins", "ece", "mce", "adaptive_ece", "nll", "brier", "temperature", "scaled"})
    EXPECT_TRUE(all["calibration"].contains(key)) << key;
  EXPECT_EQ(all["schema"], 1);
  EXPECT_EQ(all["accuracy"], .5);
  EXPECT_EQ(all["confusion"], (std::vector<std::vector<int>>{{1, 0}, {1, 0}}));

  folder.write("va.csv", "path,valence,pred_valence\na,.5,.25\nb,.25,.5\n");
  const json part = json::parse(affuse_ok(folder, {"metrics", "va.csv", "--json"}));
  EXPECT_EQ(keys(part), "n schema valence ") << "a section without data is absent";
  EXPECT_TRUE(contains(affuse_ok(folder, {"metrics", "p.csv"}), "accuracy 0.5000"));
  folder.write("bad.csv", "class,p_0,p_1\n0,.5,.5\n0,.5,.9\n");
  const Outcome bad = affuse(folder, {"metrics", "bad.csv", "--json"});
  EXPECT_TRUE(complaint(bad, 1).starts_with("bad.csv:3: p_0: ")) << bad.err;
  EXPECT_EQ(bad.out, "");
}

TEST(Command, InfoShowsDevicesProgramAndMemory) {
  const Folder folder;
  const std::string devices = affuse_ok(folder, {"info"});
  for (const char* part : {"affuse ", "\ncpu: ", "oneDNN ", "\ncuda: "})
    EXPECT_TRUE(contains(devices, part)) << part << " in:\n" << devices;

  const std::string config = AFFUSE_SOURCE_DIR "/configs/affectnet.json";
  const std::string text = affuse_ok(folder, {"info", config, "train.device=cpu"});
  for (const char* part :
       {"batch 256, 224x224 pixels, fp32", "11.18 M trained", "conv1 forward",
        "256x3x224x224 -> 256x64x112x112", "layer4.1.conv2", "adam", "GFLOP", "arena ", "peak "})
    EXPECT_TRUE(contains(text, part)) << part << " in:\n" << text;
  const std::string small =
      affuse_ok(folder, {"info", config, "train.device=cpu", "train.batch_size=2",
                         "data.image_size=32", "model.width=0.25"});
  EXPECT_TRUE(contains(small, "batch 2, 32x32 pixels")) << small;
  EXPECT_TRUE(contains(small, "2x3x32x32 -> 2x16x16x16")) << small;
}

TEST(Command, InfoShowsMixupInTheTrainingStepAlone) {
  const Folder folder;
  const auto info = [&](const std::string& more) {
    return affuse_ok(folder,
                     {"info", AFFUSE_SOURCE_DIR "/configs/affectnet.json", "train.device=cpu",
                      "train.batch_size=2", "data.image_size=32", more});
  };
  const std::string text = info("augment.mixup=0.2");
  const std::size_t at = text.find(" mixup ");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_TRUE(contains(text.substr(at, text.find('\n', at) - at), "2x3x32x32 in place")) << text;
  EXPECT_LT(text.find(" augment "), at);
  EXPECT_LT(at, text.find("conv1 forward"));
  EXPECT_EQ(text.find(" mixup ", at + 1), std::string::npos) << "not in evaluation";
  EXPECT_FALSE(contains(info("augment.mixup=0"), "mixup"));
}

// tests/apps/plan_for holds what a build with CUDA prints.
TEST(Command, InfoPlansForAGpuOrSaysWhatThatNeeds) {
  const Folder folder;
  const std::string config = AFFUSE_SOURCE_DIR "/configs/affectnet.json";
  const Outcome plan = affuse(folder, {"info", config, "--plan-for", "sm90"});
  if (plan.status == 0) {
    EXPECT_TRUE(contains(plan.out, "plan for sm90")) << plan.out;
  } else {
    EXPECT_TRUE(contains(complaint(plan, 1), "build with cmake --preset cuda"));
  }
  EXPECT_TRUE(contains(complaint(affuse(folder, {"info", "--plan-for", "sm90"}), 2),
                       "needs a configuration"));
}

TEST(Command, UnusableArgumentsExitWithTwoAndOneLine) {
  const Folder folder;
  for (const Arguments& arguments :
       {Arguments{"trian"}, Arguments{"train"}, Arguments{"train", "no.json"}, Arguments{"predict"},
        Arguments{"info", "no.json"}, Arguments{"synth", "--out", "x", "--size", "1"},
        Arguments{"labels"}, Arguments{"metrics"}})
    complaint(affuse(folder, arguments), 2);
  EXPECT_EQ(affuse(folder, {"metrics", "no.csv"}).status, 1);
  EXPECT_EQ(affuse(folder, {"predict", "no.safetensors", "x.jpg"}).status, 1);
}

}  // namespace
}  // namespace affuse::test
