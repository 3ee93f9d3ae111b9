// model.init: what a training starts from.
#include "tests/apps/run_affuse.h"
#include "weights/state_dict.h"

namespace affuse::test {
namespace {

const Arguments kTrain = {"train", "c.json", "train.epochs=1", "train.limit_batches=1"};

/// A run with a step so small that its weights are those that it started from.
Outcome start_from(const Folder& folder, const std::string& init, const std::string& out) {
  Arguments arguments = kTrain;
  for (const std::string& more : {std::string("optimizer.lr=1e-30"), std::string("train.seed=9"),
                                  "model.init=" + init, std::string("--out"), out})
    arguments.push_back(more);
  return affuse(folder, arguments);
}

StateDict weights_of(const Folder& folder, const std::string& run) {
  return read_weights(folder / run + "/checkpoints/last.safetensors").tensors;
}

class TrainStart : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
    Arguments arguments = kTrain;
    arguments.insert(arguments.end(), {"--out", "first"});
    affuse_ok(folder_, arguments);
    start_ = read_weights(folder_ / "first/checkpoints/best.safetensors");
  }
  const Folder folder_;
  Weights start_;
};

TEST_F(TrainStart, TakesNetworkAndHeadsOfAnAffuseRun) {
  for (const std::string init :
       {"first/checkpoints/best.safetensors", "first/checkpoints/last.safetensors"}) {
    const std::string out = init.substr(18, 4);
    const Outcome run = start_from(folder_, init, out);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_TRUE(contains(run.err, "start: network and heads from " + init)) << run.err;
    const StateDict trained = weights_of(folder_, out);
    for (const auto& [name, tensor] : start_.tensors) {
      if (contains(name, "running") || tensor.is_integer) continue;
      EXPECT_EQ(trained.at(name), tensor) << name;
    }
  }
}

TEST_F(TrainStart, TakesTorchvisionsNetworkWithRandomHeads) {
  Weights torchvision = start_;
  std::erase_if(torchvision.tensors, [](const auto& t) { return t.first.starts_with("fc_"); });
  torchvision.tensors["fc.weight"] = {{1000, 128}, std::vector<float>(128000, 1.f), {}, false};
  torchvision.tensors["fc.bias"] = {{1000}, std::vector<float>(1000, 1.f), {}, false};
  torchvision.metadata.clear();
  write_weights(folder_ / "tv.safetensors", torchvision);
  const Outcome run = start_from(folder_, "tv.safetensors", "tv");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "start: network from tv.safetensors, heads random")) << run.err;
  const StateDict trained = weights_of(folder_, "tv");
  EXPECT_EQ(trained.at("layer3.0.conv1.weight"), start_.tensors.at("layer3.0.conv1.weight"));
  EXPECT_NE(trained.at("fc_class.weight"), start_.tensors.at("fc_class.weight"));
  EXPECT_NE(trained.at("fc_class.weight").values.front(), 0.f);
}

TEST_F(TrainStart, RefusesWhatDoesNotFitInOneLine) {
  Weights wrong = start_;
  wrong.tensors["conv1.weight"].shape = {16, 3, 49, 1};
  wrong.tensors.erase("bn1.bias");
  wrong.tensors["extra.weight"] = wrong.tensors["bn1.weight"];
  write_weights(folder_ / "wrong.safetensors", wrong);
  const std::string what = complaint(start_from(folder_, "wrong.safetensors", "x"), 1);
  EXPECT_TRUE(what.starts_with("wrong.safetensors: does not fit the model: ")) << what;
  for (const char* part : {"bn1.bias", "extra.weight", "'conv1.weight' is [16,3,49,1]"})
    EXPECT_TRUE(contains(what, part)) << what;

  Weights half = start_;
  half.tensors.erase("fc_va.bias");
  write_weights(folder_ / "half.safetensors", half);
  EXPECT_TRUE(contains(complaint(start_from(folder_, "half.safetensors", "x"), 1), "fc_va.bias"));
  folder_.write("text.safetensors", "these are no weights, they are words");
  EXPECT_TRUE(
      contains(complaint(start_from(folder_, "text.safetensors", "x"), 1), "text.safetensors: "));
  EXPECT_TRUE(
      contains(complaint(start_from(folder_, "no.safetensors", "x"), 1), "no.safetensors: "));
}

TEST_F(TrainStart, AResumedRunDoesNotNeedItsStartAnyMore) {
  std::filesystem::copy_file(folder_ / "first/checkpoints/best.safetensors",
                             folder_ / "start.safetensors");
  EXPECT_EQ(start_from(folder_, "start.safetensors", "run").status, 0);
  std::filesystem::remove(folder_ / "start.safetensors");
  affuse_ok(folder_, {"train", "--resume", "run", "train.epochs=2"});
  EXPECT_EQ(CsvTable::read(folder_ / "run/metrics.csv").rows(), 2u);
}

}  // namespace
}  // namespace affuse::test
