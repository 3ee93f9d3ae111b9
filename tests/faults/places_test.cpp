// Output folders that cannot be used: not permitted, read-only, files, dangling links, long names.
#include <cerrno>

#include <unistd.h>

#include "tests/faults/run_under.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDenied = "Permission denied; choose a place that you may write to";

/// Root may write anywhere; without these capabilities permissions hold for it too.
Launch without_privileges() {
  if (::geteuid() != 0) return {};
  return {{"setpriv", "--bounding-set=-dac_override,-dac_read_search"}, {}};
}

class Places : public testing::Test {
 protected:
  void SetUp() override {
    write_small_training(folder_);
    fs::create_directory(folder_ / "sealed");
  }
  void TearDown() override { permit(folder_ / "sealed", fs::perms::owner_all); }
  static void permit(const std::string& path, fs::perms perms) { fs::permissions(path, perms); }

  /// The complaint of a command, which has changed nothing in FOLDER/sealed.
  std::string refused(const Arguments& arguments, int status = 1) const {
    permit(folder_ / "sealed", fs::perms::owner_read | fs::perms::owner_exec);
    const std::string line = complaint(affuse_by(without_privileges(), folder_, arguments), status);
    permit(folder_ / "sealed", fs::perms::owner_all);
    return line;
  }

  const Folder folder_;
};

TEST_F(Places, AFolderWithoutPermissionIsNamed) {
  const auto run = [](const std::string& out) {
    return Arguments{"train", "c.json", "--out", out};
  };
  EXPECT_EQ(refused(run("sealed/run")), "sealed/run: cannot be made: " + std::string(kDenied));
  EXPECT_EQ(refused(run("sealed")), "sealed/run.lock: cannot be written: " + std::string(kDenied));
  EXPECT_EQ(refused({"train", "c.json", "output.dir=sealed"}),
            "sealed/c-1: cannot be made: " + std::string(kDenied));
  EXPECT_EQ(refused({"synth", "--out", "sealed/faces", "--train", "8", "--val", "8"}),
            fs::absolute(folder_ / "sealed/faces.tmp").string() + ": cannot be made: " + kDenied);
  EXPECT_EQ(refused({"labels", "--manifest", "faces/train.csv", "--out", "sealed"}),
            "sealed/labels.csv.tmp: open: " + std::string(kDenied));
  EXPECT_EQ(refused({"labels", "--manifest", "faces/train.csv", "--out", "sealed/l"}),
            "sealed/l: cannot be made: " + std::string(kDenied));
  EXPECT_TRUE(fs::is_empty(folder_ / "sealed"));
}

TEST_F(Places, AFinishedOrStoppedRunWithoutPermissionIsNamed) {
  affuse_ok(folder_, {"train", "c.json", "--out", "sealed/run"});
  const std::string run = folder_ / "sealed/run";
  const auto seal = [&](fs::perms perms) {
    permit(run, perms);
    permit(run + "/checkpoints", perms);
  };
  seal(fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(refused({"train", "--resume", "sealed/run", "train.epochs=3"}),
            "sealed/run/run.lock: cannot be written: " + std::string(kDenied));
  EXPECT_EQ(refused({"eval", "sealed/run"}),
            "sealed/run/predictions.csv.tmp: open: " + std::string(kDenied));
  affuse_ok(folder_, {"eval", "sealed/run", "--out", "predictions.csv"});
  const std::string best = "sealed/run/checkpoints/best.safetensors";
  EXPECT_EQ(refused({"eval", best, "--config", "c.json", "--out", "sealed/p.csv"}),
            "sealed/p.csv.tmp: open: " + std::string(kDenied));
  EXPECT_EQ(refused({"predict", best, "faces/images/val", "--features", "sealed/f.npy"}),
            "sealed/f.npy.tmp: open: " + std::string(kDenied));
  seal(fs::perms::none);
  EXPECT_TRUE(contains(refused({"train", "--resume", "sealed/run"}, 2), "sealed/run: "))
      << "unseen";
  EXPECT_TRUE(contains(refused({"train", "c.json", "--out", "sealed/run"}), "sealed/run"));
  seal(fs::perms::owner_all);
}

TEST_F(Places, AReadOnlyDiskIsNamed) {
  const Outcome outcome = affuse_by(under(folder_, {{"mkdir", ".", 1, EROFS}}), folder_, kTrain);
  EXPECT_EQ(complaint(outcome, 1),
            "run: cannot be made: Read-only file system; choose a place that you may write to");
}

TEST_F(Places, WhatIsNoFolderIsNamed) {
  folder_.write("file", "precious");
  fs::create_symlink("nowhere", folder_ / "link");
  const std::string name(300, 'x');
  for (const std::string& out : {std::string("file"), std::string("file/run"), std::string("link"),
                                 name, "a/" + name, std::string("/dev/full")}) {
    SCOPED_TRACE(out);
    const std::string train = refused({"train", "c.json", "--out", out});
    EXPECT_TRUE(train.starts_with(out + ": ")) << train;
    EXPECT_FALSE(contains(train, "filesystem error")) << train;
    const std::string labels = refused({"labels", "--manifest", "faces/train.csv", "--out", out});
    EXPECT_TRUE(labels.starts_with(out + ": ")) << labels;
  }
  EXPECT_EQ(read_text(folder_ / "file"), "precious");
  EXPECT_FALSE(fs::exists(folder_ / "nowhere"));
  EXPECT_TRUE(contains(refused({"train", "c.json", "output.dir=file"}), "file"));
  const Arguments synth = {"synth", "--train", "8", "--val", "8", "--out"};
  const auto drawn_to = [&](const std::string& out, int status) {
    Arguments arguments = synth;
    arguments.push_back(out);
    return refused(arguments, status);
  };
  EXPECT_TRUE(contains(drawn_to("file", 2), "file: exists and is not a folder"));
  EXPECT_TRUE(contains(drawn_to("link", 2), "link: exists and is not a folder"));
  EXPECT_TRUE(contains(drawn_to(name, 1), "File name too long"));
}

}  // namespace
}  // namespace affuse::test
