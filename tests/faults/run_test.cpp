// A training of which any one call on any file of its folder fails once: it says so in one line,
// and goes on from there to the same end.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "tests/faults/run_under.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// The n-th, of n, calls of that kind on that file.
struct Call {
  std::string call, name;
  int nth;
  bool operator<(const Call& other) const {
    return std::tie(name, call, nth) < std::tie(other.name, other.call, other.nth);
  }
};

/// What a run does behind a fault without failing.
enum class Effect { failure, warning, none };

Effect effect_of(const Call& c) {
  if (c.call == "statvfs") return Effect::none;  // no error: tests/faults/disk_test.cpp
  // A cache, and the first file that is written, in the folder ".".
  if (c.name.starts_with("scan.csv") || (c.name == "." && c.call != "mkdir" && c.nth == 1))
    return Effect::warning;
  if (c.name == "run.log") {
    if (c.call == "write") return Effect::warning;
    if (c.call == "close") return Effect::none;
  }
  if (c.name == "run.lock" && c.call != "open") return Effect::none;
  if (c.call == "link") return Effect::none;  // a rename does
  const bool rows = c.name == "steps.csv" || c.name == "metrics.csv";
  return rows && c.call == "close" ? Effect::none : Effect::failure;  // synced before
}

class FaultyRun : public testing::Test {
 protected:
  void SetUp() override {
    write_small_training(folder_);
    const Outcome whole = affuse_by(under(folder_, {}, folder_ / "log"), folder_, kTrain);
    EXPECT_EQ(whole.status, 0) << whole.err;
    fs::rename(folder_ / "run", folder_ / "whole");
  }

  /// Each call on each file: the last of its kind, when a checkpoint is there to go on from; and
  /// the first of those that come before the training.
  std::vector<Call> calls() const {
    std::map<Call, int> counts;
    std::ifstream log(folder_ / "log");
    for (std::string call, name; log >> call >> name;) ++counts[{call, name, 0}];
    std::vector<Call> out;
    for (const auto& [key, count] : counts) {
      out.push_back({key.call, key.name, count});
      if (count > 1 && (key.name == "." || key.name == "run.log" || key.name == "status.json.tmp"))
        out.push_back({key.call, key.name, 1});
    }
    return out;
  }

  void expect_failure(const Call& call, const Outcome& outcome, int error) const {
    const std::string line = complaint(outcome, 1);
    const std::string file =
        call.name == "." ? "run" : "run/" + call.name.substr(0, call.name.find(".tmp"));
    EXPECT_TRUE(line.starts_with(file)) << line;
    EXPECT_TRUE(contains(line, std::strerror(error))) << line;
    EXPECT_EQ(outcome.out, "");
    if (!fs::exists(folder_ / "run/config.json")) {
      EXPECT_FALSE(contains(line, "--resume")) << line;
      affuse_ok(folder_, kTrain);
      return;
    }
    EXPECT_EQ(status_of(folder_)["state"], "failed");
    EXPECT_EQ(status_of(folder_)["reason"], line);
    const bool reading = call.call == "read" && call.name != "." && call.name != "checkpoints";
    EXPECT_EQ(line.ends_with("; --resume run then goes on"), !reading) << line;
    affuse_ok(folder_, kResume);
  }

  void expect_recovery(const Call& call, int error) const {
    fs::remove_all(folder_ / "run");
    const Outcome outcome =
        affuse_by(under(folder_, {{call.call, call.name, call.nth, error}}), folder_, kTrain);
    const Effect effect = effect_of(call);
    if (effect == Effect::failure) {
      expect_failure(call, outcome, error);
    } else {
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(contains(outcome.err, std::strerror(error)), effect == Effect::warning)
          << outcome.err;
    }
    expect_whole(folder_);
  }

  /// Every fourth call: shares, so that ctest runs them beside each other.
  void expect_recoveries(std::size_t share) const {
    const std::vector<Call> all = calls();
    EXPECT_GT(all.size(), 60u);
    for (std::size_t i = share; i < all.size(); i += 4) {
      const int error = i / 4 % 2 == 0 ? ENOSPC : EIO;
      SCOPED_TRACE(all[i].call + " " + all[i].name + " " + std::to_string(all[i].nth) + ": " +
                   std::strerror(error));
      expect_recovery(all[i], error);
    }
  }

  const Folder folder_;
};

TEST_F(FaultyRun, SaysSoAndGoesOnInTheFirstShare) { expect_recoveries(0); }
TEST_F(FaultyRun, SaysSoAndGoesOnInTheSecondShare) { expect_recoveries(1); }
TEST_F(FaultyRun, SaysSoAndGoesOnInTheThirdShare) { expect_recoveries(2); }
TEST_F(FaultyRun, SaysSoAndGoesOnInTheFourthShare) { expect_recoveries(3); }

}  // namespace
}  // namespace affuse::test
