// How much a training writes, beside what one wrote.
#include "apps/trainer/disk_estimate.h"

#include "apps/config/load.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/setup.h"
#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

std::uint64_t bytes_in(const std::string& folder, const std::string& extension) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() &&
        (entry.path().extension() == ".safetensors") == (extension == ".safetensors"))
      bytes += entry.file_size();
  return bytes;
}

TEST(DiskEstimate, CoversWhatARunLeaves) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const Arguments overrides = {"train.epochs=3", "swa.enabled=true", "swa.start_epoch=2",
                               "output.keep=1"};
  Arguments arguments = {"train", "c.json", "--out", "run"};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  affuse_ok(folder, arguments);

  const Config config = load_config(folder / "run/config.json");
  const Graph graph = training_graph(network_spec(config, 8), adam_of(config.optimizer));
  Manifest train, val;
  train.root = val.root = fs::canonical(folder / "faces");
  train.classes = val.classes = config.data.classes;
  for (int i = 0; i < 96; ++i) train.samples.emplace_back().path = "images/train/10.jpg";
  for (int i = 0; i < 48; ++i) val.samples.emplace_back().path = "images/val/10.jpg";
  const DiskNeed need = disk_need(config, graph, train, val);

  // A third checkpoint exists only while it is written.
  const std::uint64_t tensors = bytes_in(folder / "run", ".safetensors") +
                                fs::file_size(folder / "run/checkpoints/last.safetensors");
  EXPECT_GE(need.checkpoints + need.weights, tensors);
  EXPECT_LE(need.checkpoints + need.weights, tensors + tensors / 4);
  const std::uint64_t tables = bytes_in(folder / "run", "others");
  EXPECT_GE(need.tables, tables);
  EXPECT_LE(need.tables, 4 * tables + (128u << 10));
  EXPECT_EQ(need.total(), need.checkpoints + need.weights + need.tables);
}

TEST(DiskEstimate, FreeSpaceOfFoldersThatAreNotThereYet) {
  const Folder folder;
  const auto here = free_disk_bytes(folder.path());
  ASSERT_TRUE(here);
  EXPECT_GT(*here, 0u);
  EXPECT_TRUE(free_disk_bytes(folder / "not/there/yet"));
  folder.write("file", "");
  EXPECT_TRUE(free_disk_bytes(folder / "file/below"));
  EXPECT_TRUE(free_disk_bytes(""));
  EXPECT_TRUE(free_disk_bytes("relative/folder"));
}

}  // namespace
}  // namespace affuse::test
