// Broken images through the program: named, left out, and too many of them stop a run.
#include "tests/apps/broken_images.h"

#include <sys/stat.h>

#include "data/npy.h"
#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// The images above and what no bytes can make, in FOLDER; path and reason of each.
std::vector<std::pair<std::string, std::string>> write_broken(const Folder& folder,
                                                              const std::string& in) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const BrokenImage& image : broken_images()) {
    folder.write(in + "/" + image.name, image.bytes);
    out.emplace_back(image.name, image.reason);
  }
  const std::string at = folder / in;
  fs::create_directories(at + "/folder.jpg");
  fs::create_symlink("gone.jpg", at + "/dangling.jpg");
  fs::create_symlink("loop.jpg", at + "/loop.jpg");
  EXPECT_EQ(::mkfifo((at + "/pipe.jpg").c_str(), 0600), 0);  // nobody writes: no hang
  folder.write(in + "/large.jpg", "");
  fs::resize_file(at + "/large.jpg", 70'000'000);  // a hole: no disk is used
  out.insert(out.end(), {{"folder.jpg", "is a folder, not a file"},
                         {"dangling.jpg", "cannot be opened: No such file or directory"},
                         {"missing.jpg", "cannot be opened: No such file or directory"},
                         {"loop.jpg", "cannot be opened: Too many levels of symbolic links"},
                         {"pipe.jpg", "is not a regular file"},
                         {"large.jpg", "is 70000000 bytes large; the limit is 67108864"}});
  return out;
}

Arguments train(const Arguments& more) {
  Arguments out = {"train", "c.json", "--out", "run", "train.epochs=1"};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

/// faces/train.csv with the broken images and the odd ones behind the 96 faces; one of them stands
/// outside the manifest's folder, one has a whole path.
class BrokenImages : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
    broken_ = write_broken(folder_, "faces/odd");
    std::string rows = read_text(folder_ / "faces/train.csv");
    for (const auto& [name, reason] : broken_) rows += "odd/" + name + ",1,0.5,0.1\n";
    for (const auto& [name, bytes] : odd_images()) {
      folder_.write("faces/odd/" + name, bytes);
      rows += csv_field("odd/" + name) + ",1,0.6,0.2\n";
      ++good_;
    }
    fs::copy_file(folder_ / "faces/images/train/0.jpg", folder_ / "outside.jpg");
    rows += "../outside.jpg,1,0.5,0.1\n" + (folder_ / "outside.jpg") + ",1,0.5,0.1\n";
    good_ += 2;
    folder_.write("faces/mixed.csv", rows);
  }
  const Folder folder_;
  std::vector<std::pair<std::string, std::string>> broken_;
  std::size_t good_ = 96;
};

TEST_F(BrokenImages, AreNamedAndLeftOutAndTheRunGoesOn) {
  EXPECT_GE(broken_.size(), 40u);
  const Outcome run =
      affuse(folder_, train({"data.train=faces/mixed.csv", "data.max_bad_fraction=0.5"}));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "warning: " + std::to_string(broken_.size()) + " of " +
                                    std::to_string(broken_.size() + good_) +
                                    " images are bad and left out\n"))
      << run.err;
  EXPECT_TRUE(contains(run.err, "data: " + std::to_string(good_) + " training"));
  const CsvTable skipped = CsvTable::read(folder_ / "run/skipped.csv");
  ASSERT_EQ(skipped.rows(), broken_.size());
  for (std::size_t i = 0; i < broken_.size(); ++i) {
    EXPECT_EQ(skipped.text(i, 0), "odd/" + broken_[i].first);
    EXPECT_EQ(skipped.text(i, 1), broken_[i].second) << broken_[i].first;
  }
}

TEST_F(BrokenImages, TooManyStopTheRunWithOneLine) {
  const std::string what = complaint(affuse(folder_, train({"data.train=faces/mixed.csv"})), 1);
  const std::size_t all = broken_.size() + good_;
  EXPECT_TRUE(what.starts_with(std::to_string(broken_.size()) + " of " + std::to_string(all) +
                               " images are bad ("))
      << what;
  EXPECT_TRUE(contains(what, "data.max_bad_fraction allows 1.00 %): odd/cut_10.jpg (")) << what;
  EXPECT_TRUE(what.ends_with("; repair them, take them out or raise the limit")) << what;
  for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name == "run.log" || name == "scan.csv") << name;
  }
}

TEST_F(BrokenImages, PredictNamesEachAndAnswersForTheOthers) {
  affuse_ok(folder_, train({"train.limit_batches=1"}));
  const std::string weights = "run/checkpoints/best.safetensors";
  Arguments all = {"predict", weights, "faces/images/val/0.jpg"};
  std::erase_if(broken_, [](const auto& b) { return b.first == "folder.jpg"; });  // a folder
  for (const auto& [name, reason] : broken_) {
    SCOPED_TRACE(name);
    const std::string path = "faces/odd/" + name;
    all.push_back(path);
    const Outcome alone = affuse(folder_, {"predict", weights, path});
    EXPECT_EQ(complaint(alone, 1), "none of 1 images can be read: " + path + " (" + reason + ")");
    EXPECT_EQ(alone.out, "");
  }
  for (const auto& [name, bytes] : odd_images()) all.push_back("faces/odd/" + name);
  const Outcome run = affuse(folder_, all);
  EXPECT_EQ(run.status, 1);
  for (const auto& [name, reason] : broken_)
    EXPECT_TRUE(contains(run.err, "warning: faces/odd/" + name + ": " + reason + "; left out\n"));
  const auto answers = [](const Outcome& o) {
    return static_cast<std::size_t>(std::count(o.out.begin(), o.out.end(), '\n'));
  };
  EXPECT_EQ(answers(run), 1 + odd_images().size());
  const Outcome whole = affuse(folder_, {"predict", weights, "faces/odd"});
  EXPECT_EQ(whole.status, 1);
  EXPECT_EQ(answers(whole), odd_images().size()) << whole.err;
}

TEST(BrokenAffectNetImages, AreLeftOutAndTheAnnotationsKept) {
  const Folder folder;
  draw_faces(folder, "affectnet_npy");
  write_config(folder, "affectnet_npy");
  Arguments names;
  int id = 1000;
  for (const BrokenImage& image : broken_images()) {
    const std::string extension = fs::path(image.name).extension();
    if (extension != ".jpg" && extension != ".png") continue;
    const std::string stem = std::to_string(id += 7);
    folder.write("faces/train_set/images/" + stem + extension, image.bytes);
    for (const char* what : {"exp", "val", "aro"})
      folder.write("faces/train_set/annotations/" + stem + "_" + what + ".npy",
                   npy_bytes(npy_string("0")));
    names.push_back("train_set/images/" + stem + extension);
  }
  affuse_ok(folder, train({"data.max_bad_fraction=0.5"}));
  const CsvTable skipped = CsvTable::read(folder / "run/skipped.csv");
  ASSERT_EQ(skipped.rows(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(skipped.text(i, 0), names[i]);
}

}  // namespace
}  // namespace affuse::test
