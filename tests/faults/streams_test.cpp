// stdout and stderr that are full, closed, or pipes without a reader.
#include <algorithm>

#include "tests/faults/run_under.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// affuse started by a shell that first does `redirection`.
Launch redirected(const std::string& redirection) {
  return {{"sh", "-euc", "exec " + redirection + "; exec \"$@\"", "sh"}, {}};
}

// $fd 4 is a pipe that nobody reads.
constexpr const char* kBrokenPipe =
    "3<&0; rm -f pipe; mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; exec ";

class Streams : public testing::Test {
 protected:
  void SetUp() override {
    write_small_training(folder_);
    affuse_ok(folder_, {"train", "c.json", "--out", "whole"});
    commands_ = {{"--help"},
                 {"--version"},
                 {"--config-reference"},
                 {"--config-schema"},
                 {"train", "--help"},
                 {"train", "c.json", "--print-config"},
                 {"train", "c.json", "--dry-run"},
                 {"info"},
                 {"info", "c.json"},
                 {"labels", "--manifest", "faces/train.csv"},
                 {"labels", "--config", "c.json"},
                 {"metrics", "whole/predictions.csv"},
                 {"metrics", "whole/predictions.csv", "--json"},
                 {"eval", "whole"},
                 {"eval", "whole", "--json"},
                 {"predict", "whole/checkpoints/best.safetensors", "faces/images/val"},
                 {"predict", "whole/checkpoints/best.safetensors", "faces/images/val", "--json"}};
  }
  /// Every command that prints fails with status 1 and that line.
  void expect_failures(const Launch& launch, const std::string& reason) const {
    for (const Arguments& command : commands_) {
      std::string text;
      for (const std::string& argument : command) text += argument + " ";
      SCOPED_TRACE(text);
      EXPECT_EQ(complaint(affuse_by(launch, folder_, command), 1),
                "stdout: cannot be written: " + reason);
    }
    fs::remove_all(folder_ / "run");
    EXPECT_EQ(complaint(affuse_by(launch, folder_, kTrain), 1),
              "stdout: cannot be written: " + reason);
    expect_whole(folder_);
  }
  /// A training, its results, and a complaint go on without a stderr.
  void expect_no_difference(const Launch& launch) const {
    fs::remove_all(folder_ / "run");
    const Outcome run = affuse_by(launch, folder_, kTrain);
    EXPECT_EQ(run.status, 0);
    EXPECT_TRUE(contains(run.out, "accuracy")) << run.out;
    expect_whole(folder_);
    EXPECT_TRUE(contains(read_text(folder_ / "run/run.log"), "done: 2 epochs"));
    EXPECT_EQ(affuse_by(launch, folder_, kTrain).status, 2) << "the folder is not empty";
  }

  const Folder folder_;
  std::vector<Arguments> commands_;
};

TEST_F(Streams, AFullStdoutIsAFailure) {
  expect_failures(redirected(">/dev/full"), "No space left on device; free some space");
}

TEST_F(Streams, AClosedStdoutIsAFailure) {
  expect_failures(redirected(">&-"), "Bad file descriptor");
}

TEST_F(Streams, APipeWithoutAReaderIsAFailure) {
  expect_failures(redirected(kBrokenPipe + std::string(">&4")), "Broken pipe");
}

TEST_F(Streams, ARunNeedsNoStderr) {
  for (const std::string redirection : {"2>/dev/full", "2>&-", "2>&- <&-"}) {
    SCOPED_TRACE(redirection);
    expect_no_difference(redirected(redirection));
  }
  SCOPED_TRACE("a broken pipe");
  expect_no_difference(redirected(kBrokenPipe + std::string("2>&4")));
}

// What is opened first must not take the number of a stream that is closed.
TEST_F(Streams, NoFileReceivesWhatClosedStreamsWouldShow) {
  const auto lines_of_log = [&] {
    const std::string text = read_text(folder_ / "run/run.log");
    return std::count(text.begin(), text.end(), '\n');
  };
  affuse_ok(folder_, kTrain);
  const auto lines = lines_of_log();
  fs::remove_all(folder_ / "run");
  EXPECT_EQ(affuse_by(redirected("<&- >&- 2>&-"), folder_, kTrain).status, 1) << "the results";
  expect_whole(folder_);
  EXPECT_EQ(lines_of_log(), lines);
}

}  // namespace
}  // namespace affuse::test
