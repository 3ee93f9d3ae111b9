// The run folder: who may take it, what is removed, what stays.
#include "apps/trainer/run_folder.h"

#include <optional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/file.h"
#include "tests/data/scratch.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
using scratch::Folder;
using scratch::message;

TEST(RunFolder, IsMadeWithItsParents) {
  const Folder folder;
  const RunFolder run = RunFolder::create(folder / "a/b/c", false);
  EXPECT_EQ(run.path(), folder / "a/b/c");
  EXPECT_EQ(run.file("x.csv"), folder / "a/b/c/x.csv");
  EXPECT_TRUE(fs::is_directory(run.file("checkpoints")));
  EXPECT_FALSE(run.has("config.json"));
}

TEST(RunFolder, RefusesWhatIsNotEmptyAndKeepsWhatIsNotItsOwn) {
  const Folder folder;
  folder.write("r/notes.txt", "mine");
  folder.write("r/metrics.csv", "old");
  folder.write("r/checkpoints/last.safetensors", "old");
  const std::string what = message<ConfigError>([&] { RunFolder::create(folder / "r", false); });
  EXPECT_EQ(what, folder / "r" +
                      ": this folder is not empty; choose another --out, go on with --resume, or "
                      "give --overwrite");
  EXPECT_EQ(read_text(folder / "r/metrics.csv"), "old");
  const RunFolder run = RunFolder::create(folder / "r", true);
  EXPECT_FALSE(run.has("metrics.csv"));
  EXPECT_FALSE(run.has("checkpoints/last.safetensors"));
  EXPECT_EQ(read_text(folder / "r/notes.txt"), "mine");
}

TEST(RunFolder, ARunThatNeverBeganLeavesItsFolderFree) {
  const Folder folder;
  { const RunFolder run = RunFolder::create(folder / "r", false); }
  folder.write("r/scan.csv", "known images");
  folder.write("r/run.log", "a line");
  folder.write("r/run.lock", "");  // as after kill -9
  { const RunFolder again = RunFolder::create(folder / "r", false); }
  EXPECT_EQ(read_text(folder / "r/scan.csv"), "known images");
  EXPECT_EQ(RunFolder::next_path(folder.path(), "r"), folder / "r-1");
  folder.write("r-1/scan.csv", "");
  EXPECT_EQ(RunFolder::next_path(folder.path(), "r"), folder / "r-1");
  folder.write("r-1/config.json", "{}");
  EXPECT_EQ(RunFolder::next_path(folder.path(), "r"), folder / "r-2");
  folder.write("r-2", "a file");
  EXPECT_EQ(RunFolder::next_path(folder.path(), "r"), folder / "r-3");
}

TEST(RunFolder, HasOneUserAtATime) {
  const Folder folder;
  folder.write("r/config.json", "{}");
  {
    std::optional<RunFolder> first(RunFolder::open(folder / "r"));
    for (const bool overwrite : {false, true}) {
      const std::string what =
          message<ConfigError>([&] { RunFolder::create(folder / "r", overwrite); });
      EXPECT_NE(what.find("another affuse is writing to this run folder"), std::string::npos);
    }
    EXPECT_TRUE(first->has("config.json")) << "a refused --overwrite removes nothing";
    RunFolder moved = std::move(*first);
    first.reset();
    EXPECT_THROW(RunFolder::open(folder / "r"), ConfigError) << "the lock moved along";
  }
  EXPECT_NO_THROW(RunFolder::open(folder / "r"));
  EXPECT_FALSE(fs::exists(folder / "r/run.lock"));
}

TEST(RunFolder, ResumesOnlyARunThatBegan) {
  const Folder folder;
  const std::string what = message<ConfigError>([&] { RunFolder::open(folder / "nothing"); });
  EXPECT_EQ(what, folder / "nothing" + ": no run to resume: it has no config.json");
  EXPECT_FALSE(fs::exists(folder / "nothing"));
}

TEST(RunFolder, NamesAFolderThatCannotBeMade) {
  const Folder folder;
  folder.write("file", "");
  const std::string what = message<Error>([&] { RunFolder::create(folder / "file/r", false); });
  EXPECT_TRUE(what.starts_with(folder / "file/r")) << what;
}

TEST(RunFolder, StatusComesBack) {
  const Folder folder;
  const RunFolder run = RunFolder::create(folder / "r", false);
  EXPECT_EQ(run.state(), "");
  run.write_status("failed", 3, "step 7: \"odd\" \xff reason");
  EXPECT_EQ(run.state(), "failed");
  const auto json = nlohmann::json::parse(read_text(run.file("status.json")));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["epoch"], 3);
  EXPECT_TRUE(json["reason"].get<std::string>().starts_with("step 7: \"odd\""));
  for (const char* text : {"", "{", "[]", "3"}) {
    folder.write("r/status.json", text);
    EXPECT_EQ(run.state(), "") << text;
  }
}

}  // namespace
}  // namespace affuse
