// What commands other than train write, while any one call on it fails: the old file or none stays,
// and the command can be repeated.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "tests/faults/run_under.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// The name and bytes of every file below FOLDER whose name begins with "out".
std::map<std::string, std::string> outputs(const Folder& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    const std::string name = fs::relative(entry.path(), folder.path()).string();
    if (name.starts_with("out")) out[name] = entry.is_regular_file() ? read_text(entry.path()) : "";
  }
  return out;
}

/// A face's file but for the first face's, which stands for all.
bool is_repeated(const std::string& name) {
  const std::string file = fs::path(name).filename().string();
  return file[0] >= '1' && file[0] <= '9';
}

void clear(const Folder& folder) {
  for (const auto& entry : fs::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("out")) fs::remove_all(entry);
}

class Outputs : public testing::Test {
 protected:
  void SetUp() override { write_small_training(folder_); }

  Launch faulty(const std::vector<Fault>& faults, const std::string& log = {}) const {
    return under(folder_, faults, log, "");
  }
  /// Each kind of call on each file in FOLDER/out*, the first time.
  std::set<std::pair<std::string, std::string>> calls(const Arguments& command) const {
    clear(folder_);
    fs::remove(folder_ / "log");
    const Outcome outcome = affuse_by(faulty({}, folder_ / "log"), folder_, command);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::set<std::pair<std::string, std::string>> out;
    std::ifstream log(folder_ / "log");
    for (std::string call, name; log >> call >> name;)
      if (name.starts_with("out") && call != "unlink" && !is_repeated(name))
        out.emplace(call, name);
    return out;
  }
  /// `command` leaves nothing, whole files or, where they were there, the old ones.
  void expect_whole_or_nothing(const Arguments& command, std::size_t least) const {
    const auto all = calls(command);
    const auto whole = outputs(folder_);
    EXPECT_GE(all.size(), least);
    int i = 0;
    for (const auto& [call, name] : all) {
      const int error = ++i % 2 == 0 ? ENOSPC : EIO;
      SCOPED_TRACE(call + " " + name + ": " + std::strerror(error));
      clear(folder_);
      const std::string line =
          complaint(affuse_by(faulty({{call, name, 1, error}}), folder_, command), 1);
      EXPECT_TRUE(contains(line, name.substr(0, name.find(".tmp")))) << line;
      EXPECT_TRUE(contains(line, std::strerror(error))) << line;
      for (const auto& [file, bytes] : outputs(folder_)) {
        ASSERT_TRUE(whole.contains(file)) << file;
        EXPECT_TRUE(whole.at(file) == bytes) << file;
      }
    }
    affuse_ok(folder_, command);  // what the last fault left is not in the way
    EXPECT_TRUE(outputs(folder_) == whole);
  }

  const Folder folder_;
};

TEST_F(Outputs, OfLabels) {
  expect_whole_or_nothing({"labels", "--manifest", "faces/train.csv", "--out", "out"}, 10);
}

TEST_F(Outputs, OfSynth) {
  for (const char* layout : {"csv", "affectnet_npy"})
    expect_whole_or_nothing(
        {"synth", "--out", "out", "--train", "8", "--val", "8", "--size", "16", "--layout", layout},
        10);
}

TEST_F(Outputs, OfEvalAndPredict) {
  affuse_ok(folder_, kTrain);
  const std::string best = "run/checkpoints/best.safetensors";
  expect_whole_or_nothing({"eval", best, "--config", "c.json", "--out", "out.csv"}, 5);
  expect_whole_or_nothing({"predict", best, "faces/images/val", "--features", "out.npy"}, 5);
}

}  // namespace
}  // namespace affuse::test
