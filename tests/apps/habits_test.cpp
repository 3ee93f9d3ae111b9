// What a user sees: results on stdout, progress on stderr, in terminals and without one.
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "apps/config/load.h"
#include "tests/apps/run_affuse.h"
#include "tests/apps/run_terminal.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Habits : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
  }
  const Folder folder_;
};

/// Whether each line is a warning, of which a set as small as this one gives some.
bool only_warnings(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("warning: ")) return false;
  return true;
}

/// Lines that were overwritten or left standing without a line break: the bar's.
std::vector<std::string> bars_of(const std::string& text) {
  std::vector<std::string> out;
  const std::string erase = "\r\x1b[K";
  for (std::size_t at = 0; (at = text.find(erase, at)) != std::string::npos;) {
    at += erase.size();
    const std::string part = text.substr(at, text.find_first_of("\r\n", at) - at);
    if (!part.empty() && text.compare(at + part.size(), erase.size(), erase) == 0)
      out.push_back(part);
  }
  return out;
}

TEST_F(Habits, TrainPrintsMeasuresAloneAndTellsTheRestOnStderr) {
  const Outcome run = affuse(folder_, {"train", "c.json", "--out", "loud"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with("48 samples\naccuracy ")) << run.out;
  for (const char* part : {"device: cpu", "data: 96 training", "epoch 1/2: train loss", "done: "}) {
    EXPECT_TRUE(contains(run.err, part)) << part << run.err;
    EXPECT_FALSE(contains(run.out, part)) << part;
  }
  EXPECT_FALSE(contains(run.err, "support")) << "the table of the measures: " << run.err;
  EXPECT_FALSE(contains(run.err, "\x1b")) << "no terminal, no escapes";
  EXPECT_FALSE(contains(run.err, "\r"));
  const Outcome quiet = affuse(folder_, {"train", "c.json", "--out", "quiet", "--quiet"});
  EXPECT_EQ(quiet.out, run.out) << "results stay";
  EXPECT_TRUE(only_warnings(quiet.err)) << quiet.err;
  EXPECT_TRUE(contains(read_text(folder_ / "quiet/run.log"), "epoch 2/2")) << "run.log has it all";
  EXPECT_TRUE(fs::exists(folder_ / "quiet/config.json"));
}

TEST_F(Habits, OtherCommandsKeepResultsAndProgressApart) {
  affuse_ok(folder_, {"train", "c.json", "--out", "run", "train.epochs=1"});
  const std::string weights = "run/checkpoints/best.safetensors";
  for (Arguments arguments : {Arguments{"eval", "run"},
                              {"eval", weights, "--config", "c.json"},
                              {"predict", weights, "faces/images/val/1.jpg"},
                              {"labels", "--config", "c.json", "--out", "labels"},
                              {"metrics", "run/predictions.csv"},
                              {"info", "c.json"}}) {
    const Outcome loud = affuse(folder_, arguments);
    EXPECT_EQ(loud.status, 0) << loud.err;
    EXPECT_NE(loud.out, "");
    EXPECT_FALSE(contains(loud.out, "device: ")) << loud.out;
    arguments.push_back("--quiet");
    const Outcome quiet = affuse(folder_, arguments);
    EXPECT_EQ(quiet.out, loud.out) << arguments.front();
    EXPECT_TRUE(only_warnings(quiet.err)) << arguments.front() << ": " << quiet.err;
  }
  const Outcome drawn = affuse(folder_, {"synth", "--out", "more", "--train", "8", "--val", "8"});
  EXPECT_EQ(drawn.out, "");
  EXPECT_TRUE(contains(drawn.err, "more: 8 training and 8 validation faces"));
}

TEST_F(Habits, TheBarFitsTheTerminal) {
  for (const unsigned short columns : {80, 40, 15}) {
    const Arguments command = {AFFUSE_BINARY, "train", "c.json", "--out",
                               "run" + std::to_string(columns)};
    TerminalProgram program(folder_.path(), command, columns, {});
    EXPECT_EQ(program.finish(), 0) << program.text();
    const std::vector<std::string> bars = bars_of(program.text());
    EXPECT_FALSE(bars.empty()) << program.text();
    bool epoch = false;
    for (const std::string& bar : bars) {
      EXPECT_LT(bar.size(), columns) << bar;
      epoch = epoch || bar.starts_with("epoch 1/2");
    }
    EXPECT_TRUE(epoch) << program.text();
  }
}

TEST_F(Habits, ColoursAndBarsAreTurnedOff) {
  const auto shown = [&](const std::vector<std::pair<std::string, std::string>>& environment,
                         const Arguments& more) {
    Arguments command = {
        AFFUSE_BINARY, "train",       "c.json",         "--out",
        "run",         "--overwrite", "train.epochs=1", "data.max_bad_fraction=0.5"};
    command.insert(command.end(), more.begin(), more.end());
    TerminalProgram program(folder_.path(), command, 80, environment);
    EXPECT_EQ(program.finish(), 0) << program.text();
    return program.text();
  };
  folder_.write("faces/images/train/3.jpg", "broken");  // a warning
  const std::string colour = "\x1b[33mwarning:\x1b[0m ", plain = "warning: 1 of 96 images";
  EXPECT_TRUE(contains(shown({}, {}), colour));
  const std::string grey = shown({{"NO_COLOR", "1"}}, {});
  EXPECT_FALSE(contains(grey, "\x1b[3")) << grey;
  EXPECT_TRUE(contains(grey, plain)) << grey;
  EXPECT_FALSE(bars_of(grey).empty()) << "NO_COLOR leaves the bar";
  const std::string dumb = shown({{"TERM", "dumb"}}, {});
  EXPECT_FALSE(contains(dumb, "\x1b")) << dumb;
  EXPECT_TRUE(contains(dumb, plain)) << dumb;
  const std::string quiet = shown({}, {"--quiet"});
  EXPECT_TRUE(contains(quiet, colour + "1 of 96 images are bad and left out\r\n")) << quiet;
  EXPECT_TRUE(contains(quiet, "\n48 samples\r\n")) << quiet;
  for (const char* part : {"device: ", "epoch ", "\x1b[K"})
    EXPECT_FALSE(contains(quiet, part)) << part;
}

TEST_F(Habits, PrintedConfigurationIsTakenAgain) {
  const std::string first = affuse_ok(folder_, {"train", "c.json", "augment.scale=[1.0, 1.125]",
                                                "optimizer.lr=0.1", "--print-config"});
  folder_.write("f.json", first);
  EXPECT_EQ(affuse_ok(folder_, {"train", "f.json", "--print-config"}), first);
  EXPECT_EQ(json::parse(first)["optimizer"]["lr"], 0.1);
  affuse_ok(folder_, {"train", "f.json", "train.epochs=1"});
  EXPECT_TRUE(fs::exists(folder_ / "runs/f-1/config.json")) << "runs/<config>-<n>";
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "runs"))
      names.insert(entry.path());
    return names;
  };
  const auto before = files();
  const std::string resumed =
      affuse_ok(folder_, {"train", "--resume", "runs/f-1", "--print-config"});
  EXPECT_EQ(parse_config(resumed, "").train.epochs, 1);
  EXPECT_EQ(files(), before) << "nothing is written";
}

TEST_F(Habits, RunsThatStartAtOnceGetFoldersOfTheirOwn) {
  std::vector<std::unique_ptr<Program>> programs;
  for (int i = 0; i < 4; ++i)
    programs.push_back(std::make_unique<Program>(
        folder_.path(), Arguments{"train", "c.json", "train.epochs=1", "train.limit_batches=1"}));
  for (const auto& program : programs) {
    const Outcome outcome = program->finish();
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  for (int n = 1; n <= 4; ++n)
    EXPECT_TRUE(fs::exists(folder_ / ("runs/c-" + std::to_string(n)) + "/metrics.csv")) << n;
  EXPECT_FALSE(fs::exists(folder_ / "runs/c-5"));
}

TEST(HabitsOfTwo, RunsThatDrawTheSameFacesAtOnceDoNotMixThem) {
  const Folder folder;
  write_config(folder, "synthetic");
  Program first(folder.path(), {"train", "c.json", "train.epochs=1"});
  Program second(folder.path(), {"train", "c.json", "train.epochs=1"});
  for (Program* program : {&first, &second}) {
    const Outcome outcome = program->finish();  // it drew, came when all was drawn, or is told
    if (outcome.status == 0) continue;
    EXPECT_TRUE(contains(complaint(outcome, 2), "faces: another affuse is drawing it"));
  }
  affuse_ok(folder, {"train", "c.json", "train.epochs=1"});
}

// A prediction that is certain and wrong has an infinite loss, one sample no correlation.
TEST_F(Habits, JsonHoldsNumbersThatReadBackAndNeverNanOrInf) {
  folder_.write("hard.csv",
                "class,valence,arousal,p_0,p_1,pred_valence,pred_arousal\n1,1,0,1,0,.1,0."
                "30000000000000004\n");
  folder_.write("odd.csv",
                "class,valence,arousal,p_0,p_1,pred_valence,pred_arousal\n"
                "0,0.1,,0.9,0.1,0.7,0\n1,0.1,,1e-300,1,0.7,0\n,,,,,0.3,0.1\n");
  affuse_ok(folder_, {"train", "c.json", "--out", "run", "train.epochs=1"});
  for (const Arguments& arguments :
       {Arguments{"metrics", "hard.csv", "--json"},
        {"metrics", "odd.csv", "--json"},
        {"eval", "run", "--json"},
        {"predict", "run/checkpoints/best.safetensors", "faces/images/val/1.jpg", "--json"}}) {
    const std::string text = affuse_ok(folder_, arguments);
    for (const char* word : {"nan", "NaN", "inf", "Inf"})
      EXPECT_FALSE(contains(text, word)) << text;
    const json value = json::parse(text);
    EXPECT_EQ(value["schema"], 1);
    EXPECT_EQ(json::parse(value.dump()), value);
  }
  const json hard = json::parse(affuse_ok(folder_, {"metrics", "hard.csv", "--json"}));
  EXPECT_EQ(hard["arousal"]["rmse"].get<double>(), 0.30000000000000004);
  affuse_ok(folder_, {"labels", "--config", "c.json", "--out", "labels"});
  EXPECT_EQ(json::parse(read_text(folder_ / "labels/labels.json"))["schema"], 1);
}

TEST_F(Habits, RunFoldersMayEndInASlash) {
  affuse_ok(folder_, {"train", "c.json", "--out", "run/", "train.epochs=1"});
  affuse_ok(folder_, {"eval", "run/"});
  affuse_ok(folder_, {"train", "--resume", "run/", "train.epochs=2"});
}

}  // namespace
}  // namespace affuse::test
