// kill -9 at any moment: a run that is resumed ends in the same bytes as one that was left alone.
#include <array>
#include <iostream>
#include <random>

#include "tests/apps/stopped_training.h"

namespace affuse::test {
namespace {

constexpr int kRuns = 5, kKills = 3;  // of each of the four tests below

class Kill : public LocatedTraining {
 protected:
  /// A phase, or `count`: any.
  Phase draw() {
    constexpr auto all = static_cast<unsigned>(Phase::count);
    return static_cast<Phase>(std::min<unsigned>(all, random_() % (all + 2)));
  }

  /// Kills the program in a certain phase; at its start and anywhere after a drawn time.
  void kill(Program& program, const std::string& run, ino_t before, Phase phase) {
    if (phase == Phase::startup || phase == Phase::count) {
      const unsigned longest = phase == Phase::startup ? 200 : 1000;
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % longest));
      if (!program.halt()) return;
    } else if (!halt_in(program, run, before, phase)) {
      return;
    }
    ++landed_[static_cast<std::size_t>(phase_of(run, before))];
    program.signal(SIGKILL);
  }

  void start_and_kill(const std::string& run, const Arguments& more, Phase phase) {
    const ino_t before = mark(run);
    const bool begun = has(run, "config.json");
    Program program(folder_.path(),
                    begun ? Arguments{"train", "--resume", run, "--quiet"} : train(run, more));
    kill(program, run, before, phase);
    const Outcome outcome = program.finish();
    EXPECT_TRUE(outcome.status == 128 + SIGKILL || outcome.status == 0) << outcome.err;
  }

  void expect_the_same_bytes(unsigned seed, const Arguments& more) {
    random_.seed(seed);
    complete("whole", more);
    for (int r = 0; r < kRuns; ++r) {
      const std::string run = "killed " + std::to_string(r);
      start_and_kill(run, more, r % 2 == 0 ? Phase::checkpoint : draw());
      for (int k = 1; k < kKills; ++k) start_and_kill(run, more, draw());
      if (has(run, "config.json"))
        resume_ok(run);
      else
        complete(run, more);
      expect_same(run, "whole");
    }
    int kills = 0;
    for (std::size_t i = 0; i < landed_.size(); ++i) {
      if (landed_[i] > 0) std::cout << landed_[i] << " in " << kPhases[i] << ", ";
      kills += landed_[i];
    }
    std::cout << kills << " kills of " << kRuns << " runs\n";
    EXPECT_GE(kills, kRuns);
  }

 private:
  std::mt19937 random_;
  std::array<int, static_cast<std::size_t>(Phase::count)> landed_{};
};

TEST_F(Kill, RunsInFp32) { expect_the_same_bytes(1, {}); }
TEST_F(Kill, MoreRunsInFp32) { expect_the_same_bytes(2, {}); }
TEST_F(Kill, RunsInBf16) { expect_the_same_bytes(3, {"train.precision=bf16"}); }
TEST_F(Kill, MoreRunsInBf16) { expect_the_same_bytes(4, {"train.precision=bf16"}); }

}  // namespace
}  // namespace affuse::test
