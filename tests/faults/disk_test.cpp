// Disks that are too small: a quota that the last checkpoint exceeds, a limit on a file's size, no
// free space at the start.
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/faults/run_under.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

class SmallDisk : public testing::Test {
 protected:
  void SetUp() override {
    write_small_training(folder_);
    const Outcome whole = affuse_by(under(folder_, {}, folder_ / "log"), folder_, kTrain);
    EXPECT_EQ(whole.status, 0) << whole.err;
    EXPECT_FALSE(contains(whole.err, "warning")) << whole.err;
    fs::rename(folder_ / "run", folder_ / "whole");
  }
  std::uintmax_t size(const std::string& name) const {
    return fs::file_size(folder_ / "whole/checkpoints/" + name + ".safetensors");
  }
  /// The number of calls of that kind on that file in the whole run.
  int count(const std::string& call, const std::string& name) const {
    std::ifstream log(folder_ / "log");
    int n = 0;
    for (std::string line; std::getline(log, line);) n += line == call + " " + name;
    return n;
  }

  const Folder folder_;
};

constexpr const char* kNoSpace =
    ": No space left on device; free some space; --resume run then goes on";

/// Trains on a file system of $1 bytes, gives it more space, resumes; what is left goes to FOLDER.
constexpr const char* kOnATmpfs = R"(
  size=$1 program=$2
  mkdir disk
  mount -t tmpfs -o size=$size tmpfs disk
  ln -s disk/run run
  mkdir disk/run
  "$program" train c.json --out run 2>first.err && exit 99
  test $? -eq 1
  cp run/status.json first.json
  mount -o remount,size=1g disk
  "$program" train --resume run
  rm run
  cp -r disk/run run)";

bool may_mount() {
  return std::system("unshare -rm mount -t tmpfs tmpfs /mnt >/dev/null 2>&1") == 0;
}

// Where nobody may mount, the same write fails as if the disk were full.
TEST_F(SmallDisk, TheLastCheckpointExceedsAQuota) {
  const std::uintmax_t quota =
      size("best") + size("swa") + size("epoch_002") + size("last") * 3 / 2;
  std::string error, status;
  if (may_mount()) {
    Launch launch{{"unshare", "-rm", "sh", "-euc", kOnATmpfs, "sh", std::to_string(quota)}, {}};
    const Outcome both = affuse_by(launch, folder_, {});
    EXPECT_EQ(both.status, 0) << both.err;
    error = read_text(folder_ / "first.err");
    status = read_text(folder_ / "first.json");
    EXPECT_TRUE(contains(error, "run: ") && contains(error, " MiB of disk space are free, but "))
        << error;
  } else {
    const std::string last = "checkpoints/last.safetensors.tmp";
    const Outcome first =
        affuse_by(under(folder_, {{"write", last, count("write", last), ENOSPC}}), folder_, kTrain);
    error = first.err;
    status = read_text(folder_ / "run/status.json");
    affuse_ok(folder_, kResume);
  }
  const std::string line = complaint({1, "", error}, 1);
  EXPECT_EQ(line, "run/checkpoints/last.safetensors.tmp: write" + std::string(kNoSpace));
  const auto json = nlohmann::json::parse(status);
  EXPECT_EQ(json["state"], "failed");
  EXPECT_EQ(json["reason"], line);
  EXPECT_EQ(json["epoch"], 1);
  expect_whole(folder_);
}

TEST_F(SmallDisk, ALimitOnTheSizeOfAFileIsAnErrorAndNoSignal) {
  const std::uintmax_t limit = (size("best") + size("last")) / 2 / 512;
  const Launch launch{{"sh", "-c", "ulimit -f " + std::to_string(limit) + "; exec \"$@\"", "sh"},
                      {}};
  EXPECT_EQ(complaint(affuse_by(launch, folder_, kTrain), 1),
            "run/checkpoints/last.safetensors.tmp: write: File too large; raise the limit (ulimit "
            "-f); --resume run then goes on");
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoints/best.safetensors"));
  affuse_ok(folder_, kResume);
  expect_whole(folder_);
}

TEST_F(SmallDisk, NoFreeSpaceAtTheStartIsAWarning) {
  const Launch full = under(folder_, {{"statvfs", ".", 1, 0}});
  const Outcome outcome = affuse_by(full, folder_, kTrain);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(
      contains(outcome.err, "warning: run: 0.0 MiB of disk space are free, but the run needs "))
      << outcome.err;
  const std::string dry = affuse_ok(folder_, {"train", "c.json", "--dry-run"});
  const auto mib =
      static_cast<double>(size("best") + size("swa") + size("epoch_002") + 2 * size("last")) /
      1048576;
  const std::size_t at = dry.find("\ndisk");
  ASSERT_NE(at, std::string::npos) << dry;
  const double told = std::stod(dry.substr(at + 5));
  EXPECT_GT(told, mib) << "one more checkpoint is being written";
  EXPECT_LT(told, 1.5 * mib);
}

}  // namespace
}  // namespace affuse::test
