// Signals: a checkpoint and the end within one step, wherever the run is.
#include <climits>

#include "tests/apps/stopped_training.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

class Interrupt : public LocatedTraining {
 protected:
  /// Starts a run, resumes one that has begun, and signals it in a phase.
  Outcome stop_in(Phase phase, const std::string& run, int signal) {
    const ino_t before = mark(run);
    Program program(folder_.path(), has(run, "config.json")
                                        ? Arguments{"train", "--resume", run, "--quiet"}
                                        : train(run));
    EXPECT_TRUE(halt_in(program, run, before, phase)) << kPhases[static_cast<std::size_t>(phase)];
    program.signal(signal);
    program.signal(SIGCONT);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.status, 128 + signal) << outcome.err;
    EXPECT_EQ(state_of(run), "stopped");
    EXPECT_FALSE(has(run, "predictions.csv"));
    return outcome;
  }
  std::string reason_of(const std::string& run) const {
    return nlohmann::json::parse(text_of(run, "status.json"))["reason"];
  }
};

TEST_F(Interrupt, EverySignalStopsWithinOneStep) {
  const std::pair<int, const char*> signals[] = {
      {SIGINT, "int"}, {SIGTERM, "term"}, {SIGUSR1, "usr1"}, {SIGHUP, "hup"}};
  complete("whole");
  for (const auto& [signal, run] : signals) {
    Program program(folder_.path(), train(run));
    ASSERT_TRUE(halt_in(program, run, 0, Phase::training));
    const int logged = last_row(run, "steps.csv");
    program.signal(signal);
    program.signal(SIGCONT);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.status, 128 + signal) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    const int step = counters_of(run)["step"];
    EXPECT_GE(step, logged);
    EXPECT_LE(step, logged + 1);
    EXPECT_EQ(last_row(run, "steps.csv"), step);
    EXPECT_EQ(state_of(run), "stopped");
    EXPECT_EQ(reason_of(run),
              "signal " + std::to_string(signal) + " after " + std::to_string(step) + " steps");
    resume_ok(run);
    expect_same(run, "whole");
  }
}

TEST_F(Interrupt, PassesOverTheDataAreCutAndDoneAgain) {
  complete("whole");
  const auto expect_cut = [&](int epoch, int averaged) {
    const nlohmann::json counters = counters_of("run");
    EXPECT_EQ(counters["epoch"], epoch - 1) << "the epoch has not ended";
    EXPECT_EQ(counters["batch"], kSteps);
    EXPECT_EQ(counters["step"], epoch * kSteps);
    EXPECT_EQ(counters["averaged"], averaged);
    EXPECT_EQ(last_row("run", "metrics.csv"), epoch - 1);
    EXPECT_FALSE(has("run", "checkpoints/swa.safetensors")) << "comes with a validation";
  };
  stop_in(Phase::validation, "run", SIGINT);
  expect_cut(2, 0);
  EXPECT_FALSE(has("run", "checkpoints/best.safetensors"));
  stop_in(Phase::swa, "run", SIGTERM);
  expect_cut(3, 1);
  stop_in(Phase::swa, "run", SIGUSR1);
  expect_cut(3, 1);  // the average has the epoch's model once
  stop_in(Phase::pass, "run", SIGHUP);
  expect_cut(4, 2);
  stop_in(Phase::predictions, "run", SIGINT);
  EXPECT_EQ(counters_of("run")["epoch"], kEpochs);
  resume_ok("run");
  expect_same("run", "whole");
}

TEST_F(Interrupt, BeforeTheFirstStepTheFolderStaysFree) {
  std::string rows = "path,class,valence,arousal\n";
  for (int i = 0; i < 200; ++i) rows += "../large.jpg,1,0.5,0.5\n";
  folder_.write("large.jpg", encode_jpeg(scratch::picture(3000, 3000, 1)));
  folder_.write("faces/large.csv", rows);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    const std::size_t old = text_of("run", "run.log").size();
    Program scanning(folder_.path(), train("run", {"data.train=faces/large.csv"}));
    EXPECT_TRUE(scanning.wait_until(
        [&] { return contains(text_of("run", "run.log").substr(old), "device: "); }));
    scanning.signal(signal);
    EXPECT_EQ(scanning.finish().status, 128 + signal);
    EXPECT_FALSE(has("run", "config.json"));
  }
  complete("run", {"train.epochs=3"});
}

TEST_F(Interrupt, ASecondSignalLeavesAtOnce) {
  // Two long steps an epoch.
  Program program(folder_.path(),
                  train("run", {"train.batch_size=48", "data.image_size=256", "train.epochs=3"}));
  EXPECT_TRUE(program.wait_until([&] { return last_row("run", "steps.csv") == 1; }));
  program.signal(SIGINT);
  EXPECT_TRUE(program.halt());  // the first has arrived, whatever the second one's number
  program.signal(SIGCONT);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  program.signal(SIGTERM);
  EXPECT_EQ(program.finish().status, 128 + SIGTERM);
  EXPECT_FALSE(has("run", "checkpoints/last.safetensors"));
  EXPECT_EQ(state_of("run"), "running");
}

TEST_F(Interrupt, NohupIgnoresTheTerminalsEnd) {
  Program program(folder_.path(), train("run", {"train.epochs=3"}), "", {{"nohup"}, {}});
  EXPECT_TRUE(program.wait_until([&] { return last_row("run", "steps.csv") > 5; }));
  program.signal(SIGHUP);
  const Outcome outcome = program.finish();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(state_of("run"), "done");
}

TEST_F(Interrupt, ReadersThatLeaveStopNothing) {
  const auto piped = [&](const std::string& run, const std::string& script) {
    Arguments arguments = train(run, {"train.epochs=3"});
    std::erase(arguments, "--quiet");
    const Launch launch{{"bash", "-c", script + "; exit ${PIPESTATUS[0]}", "bash"}, {}};
    const Outcome outcome = Program(folder_.path(), arguments, "", launch).finish();
    EXPECT_EQ(state_of(run), "done");
    EXPECT_TRUE(has(run, "predictions.csv"));
    EXPECT_TRUE(contains(text_of(run, "run.log"), "epoch 3/3"));
    return outcome;
  };
  EXPECT_EQ(piped("err", R"("$@" 2>&1 >table | true)").status, 0);
  EXPECT_TRUE(contains(read_text(folder_ / "table"), "macro-F1"));
  const std::string what = complaint(piped("out", R"("$@" | true)"), 1);
  EXPECT_TRUE(contains(what, "stdout: cannot be written: ")) << what;
}

}  // namespace
}  // namespace affuse::test
