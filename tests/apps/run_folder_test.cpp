// The run folder: who may take it, what is removed, what stays.
#include "apps/trainer/run_folder.h"

#include <latch>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

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
  EXPECT_FALSE(run.has("config.json"));
  run.clear();
  EXPECT_TRUE(fs::is_directory(run.file("checkpoints")));
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
  folder.write("r/run.log", "what happened");
  const RunFolder run = RunFolder::create(folder / "r", true);
  EXPECT_EQ(read_text(folder / "r/metrics.csv"), "old") << "the new run may never begin";
  run.clear();
  EXPECT_FALSE(run.has("metrics.csv"));
  EXPECT_EQ(read_text(folder / "r/run.log"), "what happened");
  EXPECT_FALSE(run.has("checkpoints/last.safetensors"));
  EXPECT_EQ(read_text(folder / "r/notes.txt"), "mine");
}

TEST(RunFolder, ARunThatNeverBeganLeavesItsFolderFree) {
  const Folder folder;
  { const RunFolder run = RunFolder::create(folder / "r", false); }
  folder.write("r/scan.csv", "known images");
  folder.write("r/run.log", "a line");
  folder.write("r/run.lock", "process 1 on a");  // as after kill -9
  folder.write("r/config.json.tmp", "{");
  folder.write("r/status.json", "{}");
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

TEST(RunFolder, OfSeveralThatAskForTheNextAtOnceEachGetsItsOwn) {
  const Folder folder;
  folder.write("r-2/config.json", "{}");
  constexpr std::size_t kUsers = 8;
  std::vector<std::string> paths(kUsers);
  std::vector<std::thread> users;
  std::latch ready(kUsers), all(kUsers);  // all hold their folders at the same time
  for (std::string& path : paths)
    users.emplace_back([&] {
      ready.arrive_and_wait();
      const RunFolder run = RunFolder::create_next(folder.path(), "r");
      path = run.path();
      all.arrive_and_wait();
    });
  for (std::thread& user : users) user.join();
  const std::set<std::string> different(paths.begin(), paths.end());
  EXPECT_EQ(different.size(), kUsers);
  EXPECT_FALSE(different.contains(folder / "r-2"));
  EXPECT_TRUE(different.contains(folder / "r-1"));
  for (const std::string& path : paths) EXPECT_TRUE(fs::is_directory(path));
}

TEST(RunFolder, ChecksWithoutWriting) {
  const Folder folder;
  folder.write("used/notes.txt", "mine");
  EXPECT_NO_THROW(RunFolder::check(folder / "a/b/c", false));
  EXPECT_NO_THROW(RunFolder::check(folder / "a/", false));
  EXPECT_FALSE(fs::exists(folder / "a"));
  EXPECT_NO_THROW(RunFolder::check(folder / "used", true));
  EXPECT_EQ(message<ConfigError>([&] { RunFolder::check(folder / "used", false); }),
            message<ConfigError>([&] { RunFolder::create(folder / "used", false); }));
  EXPECT_EQ(message<Error>([&] { RunFolder::check(folder / "used/notes.txt/r", false); }),
            message<Error>([&] { RunFolder::create(folder / "used/notes.txt/r", false); }));
}

TEST(RunFolder, HasOneUserAtATime) {
  const Folder folder;
  folder.write("r/config.json", "{}");
  {
    std::optional<RunFolder> first(RunFolder::open(folder / "r"));
    for (const bool overwrite : {false, true}) {
      const std::string what =
          message<ConfigError>([&] { RunFolder::create(folder / "r", overwrite); });
      EXPECT_NE(what.find(fmt::format("another affuse (process {} on ", ::getpid())),
                std::string::npos)
          << what;
    }
    EXPECT_TRUE(first->has("config.json")) << "a refused --overwrite removes nothing";
    RunFolder moved = std::move(*first);
    first.reset();
    EXPECT_THROW(RunFolder::open(folder / "r"), ConfigError) << "the lock moved along";
  }
  EXPECT_NO_THROW(RunFolder::open(folder / "r"));
  EXPECT_FALSE(fs::exists(folder / "r/run.lock"));
}

TEST(RunFolder, WhatAKilledProcessWasWritingGoesOthersFilesStay) {
  const Folder folder;
  const char* gone[] = {"r/metrics.csv.tmp", "r/checkpoints/last.safetensors.tmp",
                        "r/checkpoints/epoch_002.safetensors.tmp"};
  const char* kept[] = {"r/config.json", "r/notes.tmp", "r/checkpoints/last.safetensors",
                        "r/checkpoints/mine.tmp"};
  for (const char* name : gone) folder.write(name, "half");
  for (const char* name : kept) folder.write(name, "{}");
  const RunFolder run = RunFolder::open(folder / "r");
  for (const char* name : gone) EXPECT_FALSE(fs::exists(folder / name)) << name;
  for (const char* name : kept) EXPECT_TRUE(fs::exists(folder / name)) << name;
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
