// Real photographs: 100 faces and 100 backgrounds of 25x25 pixels from Labeled Faces in the Wild,
// as Debian's python3-skimage ships them (skimage/data/lfw_subset.npy), learnt through csv.
#include <cmath>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

constexpr int kSide = 25;
constexpr std::size_t kFaces = 100, kImages = 200;

/// Downloads and unpacks the package below the folder; the array's file, or "" with a failure.
std::string photographs(const Folder& folder) {
  const std::string log = folder / ".apt";
  const std::string command = "cd '" + folder.path() + "' && apt-get download python3-skimage > '" +
                              log + "' 2>&1 && dpkg-deb -x python3-skimage_*.deb skimage >> '" +
                              log + "' 2>&1";
  const int status = std::system(command.c_str());
  const std::string file =
      folder / "skimage/usr/lib/python3/dist-packages/skimage/data/lfw_subset.npy";
  if (status == 0 && std::filesystem::exists(file)) return file;
  ADD_FAILURE() << "the photographs are missing: `apt-get download python3-skimage` has to work "
                   "(a network, and apt's lists from `apt-get update`):\n"
                << read_text(log);
  return {};
}

/// Photograph i of an array [200, 25, 25] of grey values in [0, 1].
Image photograph(const NpyArray& array, std::size_t i) {
  Image image{kSide, kSide, {}};
  for (std::size_t p = 0; p < kSide * kSide; ++p) {
    const double grey = array.number(i * kSide * kSide + p);
    image.rgb.insert(image.rgb.end(), 3, static_cast<std::uint8_t>(std::lround(255 * grey)));
  }
  return image;
}

/// PNG files and manifests without VA: of each class every second photograph is held out.
void write_set(const Folder& folder, const NpyArray& array) {
  std::string halves[2] = {"path,class,valence,arousal\n", "path,class,valence,arousal\n"};
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::string name = std::to_string(i) + ".png";
    folder.write("lfw/" + name, encode_png(photograph(array, i)));
    halves[i % 2] += name + (i < kFaces ? ",face,,\n" : ",background,,\n");
  }
  folder.write("lfw/train.csv", halves[0]);
  folder.write("lfw/val.csv", halves[1]);
}

TEST(Photographs, FacesAreToldFromBackgrounds) {
  const Folder folder;
  const std::string file = photographs(folder);
  ASSERT_FALSE(file.empty());
  const NpyArray array = read_npy(file);
  ASSERT_EQ(array.shape, (std::vector<std::int64_t>{kImages, kSide, kSide}));
  write_set(folder, array);
  folder.write("lfw.json", R"({
    "data": {"kind": "csv", "train": "lfw/train.csv", "val": "lfw/val.csv",
             "classes": ["face", "background"], "image_size": 32},
    "label_model": {"kind": "onehot"}, "model": {"width": 0.25}, "schedule": {"kind": "cosine"},
    "augment": {"degrees": 0, "translate": 0.05, "scale": [1.0, 1.05], "brightness": 0.2,
                "contrast": 0.2, "erase": {"p": 0}},
    "train": {"epochs": 20, "batch_size": 10, "device": "cpu", "select": "last"}})");
  const Outcome run = affuse(folder, {"train", "lfw.json", "--out", "run", "--quiet"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.err, "") << "nothing to warn of: one-hot labels need no valence and arousal";
  const auto measures = nlohmann::json::parse(affuse_ok(folder, {"eval", "run", "--json"}));
  EXPECT_EQ(measures["n"], 100);
  EXPECT_GT(measures["accuracy"].get<double>(), 0.9);
  EXPECT_FALSE(measures.contains("valence")) << "no photograph is annotated with it";
  std::cout << "held-out accuracy " << measures["accuracy"] << ", macro-F1 " << measures["macro_f1"]
            << "\n";
}

}  // namespace
}  // namespace affuse::test
