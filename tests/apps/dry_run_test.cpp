// --dry-run: everything is checked, nothing is written.
#include <map>

#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// Every file and folder below `folder` with size and time; not what the test itself catches.
std::map<std::string, std::string> listing(const Folder& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    const std::string name = entry.path().filename();
    if (name.starts_with(".out") || name.starts_with(".err")) continue;
    const auto time = entry.last_write_time().time_since_epoch().count();
    out[entry.path()] = std::to_string(time) + " " +
                        (entry.is_regular_file() ? std::to_string(entry.file_size()) : "folder");
  }
  return out;
}

/// Dry, with every place where a program may keep things inside `folder`.
Outcome dry(const Folder& folder, Arguments arguments) {
  arguments.insert(arguments.begin(), "train");
  arguments.push_back("--dry-run");
  fs::create_directories(folder / "home");
  Launch launch;
  for (const char* name : {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"})
    launch.environment.emplace_back(name, folder / "home");
  const auto before = listing(folder);
  Outcome outcome = Program(folder.path(), arguments, "", launch).finish();
  EXPECT_EQ(listing(folder), before);
  return outcome;
}

/// The line that begins with `word`, without it.
std::string line_of(const std::string& text, const std::string& word) {
  const std::size_t at = ("\n" + text).find("\n" + word);
  if (at == std::string::npos) return {};
  const std::string rest = text.substr(at + word.size());
  return rest.substr(0, rest.find('\n'));
}

TEST(DryRun, ReportsAndWritesNothing) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  const Outcome outcome = dry(folder, {"c.json", "train.epochs=5"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "96 training and 48 validation faces, 8 classes"))
      << outcome.out;
  EXPECT_TRUE(contains(outcome.out, "5 epochs of 6 steps of 16 faces, 30 steps in all"));
  for (const char* word : {"step 1", "step 2", "evaluation", "time", "memory", "disk"})
    EXPECT_NE(line_of(outcome.out, word), "") << word;
  EXPECT_TRUE(contains(line_of(outcome.out, "disk"), " in runs/c-1; ")) << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("dry run: nothing was written\n"));
  const std::string limited = dry(folder, {"c.json", "train.limit_batches=2"}).out;
  EXPECT_TRUE(contains(limited, "2 epochs of 2 steps of 16 faces, 4 steps in all")) << limited;
}

TEST(DryRun, DrawsMissingFacesInMemoryAndTheLossesAreTheRuns) {
  const Folder folder;
  write_config(folder, "synthetic");
  const Outcome outcome = dry(folder, {"c.json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "96 training and 48 validation faces, 8 classes"))
      << outcome.out;
  EXPECT_TRUE(contains(outcome.out, " in faces; ")) << "space for the faces: " << outcome.out;
  EXPECT_FALSE(fs::exists(folder / "faces"));
  const Outcome large = dry(folder, {"c.json", "data.synthetic.train=100000"});
  EXPECT_TRUE(contains(large.out, "100000 training")) << large.out << large.err;

  draw_faces(folder, "affectnet_npy");
  const std::string first =
      line_of(dry(folder, {"c.json", "train.seed=7"}).out, "step 1      loss ");
  affuse_ok(folder, {"train", "c.json", "train.seed=7", "train.epochs=1", "--out", "run"});
  const CsvTable steps = CsvTable::read(folder / "run/steps.csv");
  EXPECT_NEAR(std::stod(first), steps.number(0, steps.require("loss")), 1e-3);
}

TEST(DryRun, TakesGivenLabels) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  for (const char* half : {"train", "val"}) {
    const std::string path = folder / "faces/" + std::string(half) + ".csv";
    const CsvTable table = CsvTable::read(path);
    std::string text = "path,class,valence,arousal,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7\n";
    for (std::size_t row = 0; row < table.rows(); ++row)
      text += table.text(row, 0) + "," + table.text(row, 1) + ",0.5,0.5,1,0,0,0,0,0,0,0\n";
    folder.write("faces/" + std::string(half) + ".csv", text);
  }
  const Outcome outcome = dry(folder, {"c.json", "label_model.kind=given"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST(DryRun, RefusesWhatTheRunWouldRefuse) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  folder.write("used/notes.txt", "mine");
  folder.write("file", "");
  const auto refusal = [&](const Arguments& more, int status) {
    Arguments arguments = {"c.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = dry(folder, arguments);
    EXPECT_EQ(outcome.out, "");
    return complaint(outcome, status);
  };
  EXPECT_TRUE(contains(refusal({"--out", "used"}, 2), "used: this folder is not empty"));
  EXPECT_TRUE(
      contains(refusal({"--out", "file/run"}, 1), "file/run: cannot be made: Not a directory"));
  EXPECT_TRUE(contains(refusal({"data.train=no.csv"}, 1), "no.csv"));
  EXPECT_TRUE(contains(refusal({"model.init=no.safetensors"}, 1), "no.safetensors"));
  EXPECT_TRUE(contains(refusal({"schedule.warmup_steps=1000"}, 2), "schedule.warmup_steps"));
  EXPECT_EQ(dry(folder, {"c.json", "--out", "used", "--overwrite"}).status, 0);
  fs::remove(folder / "faces/images/train/3.jpg");
  EXPECT_TRUE(contains(refusal({}, 1), "data.max_bad_fraction"));
  EXPECT_TRUE(
      contains(dry(folder, {"c.json", "data.max_bad_fraction=0.1"}).out, "1 images cannot"));
  const Outcome nothing = dry(folder, {"--resume", "nothing"});
  EXPECT_EQ(complaint(nothing, 2), "nothing: no run to resume: it has no config.json");
}

TEST(DryRun, LooksAheadFromACheckpoint) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  affuse_ok(folder, {"train", "c.json", "--out", "run"});
  const Outcome outcome = dry(folder, {"--resume", "run", "train.epochs=5"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "2 epochs are done, 3 to go")) << outcome.out;
  EXPECT_TRUE(contains(outcome.out, " in run; "));
  EXPECT_TRUE(contains(complaint(dry(folder, {"--resume", "run", "optimizer.lr=1"}), 2),
                       "cannot be resumed with another configuration: optimizer.lr"));
  folder.write("run/checkpoints/last.safetensors", "broken");
  folder.write("run/checkpoints/prev.safetensors", "broken");
  EXPECT_TRUE(contains(complaint(dry(folder, {"--resume", "run"}), 1), "no usable checkpoint"));
}

TEST(DryRun, WarnsOfADiskThatIsTooSmall) {
  const Folder folder;
  draw_faces(folder, "csv");
  write_config(folder, "csv");
  // The weights of 100,000 epochs of the full network take 4 TB and more.
  const Outcome outcome = dry(folder, {"c.json", "train.epochs=100000", "output.keep=1",
                                       "model.width=1", "train.batch_size=2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "warning: runs/c-1: ")) << outcome.err << outcome.out;
  EXPECT_TRUE(contains(outcome.err, " are needed; make room or choose another folder"));
}

}  // namespace
}  // namespace affuse::test
