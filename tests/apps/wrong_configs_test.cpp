// Wrong configurations through the program, as a user types them: exit status 2, one line that
// names the place, nothing on stdout, no file made or changed.
#include <fstream>

#include <sys/stat.h>

#include "tests/apps/folder_state.h"
#include "tests/apps/wrong_json.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// A folder with the run of yesterday, which --overwrite would take.
void write_old_run(const Folder& folder) {
  folder.write("run/config.json", "{}");
  folder.write("run/metrics.csv", "epoch\n1\n");
  folder.write("run/checkpoints/last.safetensors", "weights");
}

/// Every command that reads a configuration.
std::vector<Arguments> commands(const std::string& config) {
  return {{"train", config},
          {"train", config, "--print-config"},
          {"train", config, "--dry-run"},
          {"train", config, "--out", "run", "--overwrite"},
          {"train", "--quiet", config, "train.epochs=1"},
          {"info", config},
          {"info", config, "--plan-for", "sm90"},
          {"labels", "--config", config, "--out", "labels"}};
}

/// One line, whole; the folder as it was.
void expect_refused(const Folder& folder, const Arguments& arguments, const std::string& line) {
  const auto before = state_of(folder);
  const Outcome run = affuse(folder, arguments);
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err, "affuse: " + line + "\n");
  EXPECT_EQ(state_of(folder), before) << "something was written";
}

TEST(WrongConfigs, EachGivesItsLineWhateverTheCommand) {
  const Folder folder;
  write_old_run(folder);
  std::size_t n = 0;
  for (const auto& rows : {kWrongValues, kWrongTogether, wrong_syntax(), wrong_encodings()}) {
    for (const WrongConfig& row : rows) {
      SCOPED_TRACE(row.name);
      folder.write("a.json", row.text);
      const std::vector<Arguments> all = commands("a.json");
      expect_refused(folder, all[n++ % all.size()], "a.json:" + row.error);
    }
  }
  EXPECT_GE(n, 120u);
}

TEST(WrongConfigs, OneGivesTheSameLineInEveryCommand) {
  const Folder folder;
  write_old_run(folder);
  folder.write("dir/my faces.json", given(R"("fusion": {"alhpa": 0.5})"));
  for (const Arguments& arguments : commands("dir/my faces.json")) {
    expect_refused(folder, arguments,
                   "dir/my faces.json:3: fusion.alhpa: unknown key; did you mean fusion.alpha?");
  }
}

TEST(WrongConfigs, FilesThatAreNone) {
  const Folder folder;
  folder.write("big.json", "");
  fs::resize_file(folder / "big.json", 100'000'000);  // a hole: no disk is used
  fs::create_directories(folder / "folder.json");
  fs::create_symlink("loop.json", folder / "loop.json");
  fs::create_symlink("gone", folder / "dangling.json");
  ASSERT_EQ(::mkfifo((folder / "pipe.json").c_str(), 0600), 0);  // nobody writes: no hang
  const std::string advice = "; name a JSON file of at most 1 MiB, such as configs/quickstart.json";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"missing.json", "cannot be opened: No such file or directory"},
      {"dangling.json", "cannot be opened: No such file or directory"},
      {"folder.json", "is a folder, not a file"},
      {"pipe.json", "is not a regular file"},
      {"/dev/zero", "is not a regular file"},
      {"loop.json", "cannot be opened: Too many levels of symbolic links"},
      {"big.json", "is 100000000 bytes large; the limit is 1048576"},
      {"run/config.json", "cannot be opened: No such file or directory"},
  };
  for (const auto& [file, what] : cases) {
    for (const Arguments& arguments : {Arguments{"train", file}, Arguments{"info", file}})
      expect_refused(folder, arguments, file + ": " + what + advice);
  }
  expect_refused(folder, {"train", "two\nlines.json"},
                 "two?lines.json: cannot be opened: No such file or directory" + advice);
  // /proc's files say that they are empty.
  const Outcome proc = affuse(folder, {"train", "/proc/self/environ"});
  EXPECT_TRUE(complaint(proc, 2).starts_with("/proc/self/environ:1: column 1: ")) << proc.err;
}

struct WrongOverride {
  std::string argument, error;  ///< error: behind "argument 'ARGUMENT': ", or the whole line
};

TEST(WrongConfigs, OverridesNameTheArgument) {
  const Folder folder;
  folder.write("a.json", given(R"("model": {})"));
  const std::string epochs = "give an integer from 1 to 100000";
  const std::string lr = "give a number above 0 and at most 10";
  const std::string json = "; JSON writes numbers as 7, 0.5 or 1e-3, without quotes";
  const std::vector<WrongOverride> cases = {
      {"trian.epochs=3", "trian.epochs: unknown key; did you mean train.epochs?"},
      {"epochs=3", "epochs: unknown key; did you mean train.epochs?"},
      {"train.lr=0.1", "train.lr: unknown key; did you mean optimizer.lr?"},
      {"bananas=3",
       "bananas: unknown key; choose from data, noise, label_model, fusion, augment, model, loss, "
       "optimizer, schedule, swa, train, output, calibration"},
      {"train.epochs=0", "train.epochs: 0 is out of range; " + epochs},
      {"train.epochs=1.0",
       "train.epochs: 1.0 is of the wrong type; " + epochs + " without a fraction or exponent"},
      {"train.epochs=three", R"(train.epochs: the string "three" is of the wrong type; )" + epochs},
      {"train.epochs=", R"(train.epochs: the string "" is of the wrong type; )" + epochs},
      {"train.epochs=0x10",
       R"(train.epochs: the string "0x10" is of the wrong type; )" + epochs + json},
      {"train.epochs=null", "train.epochs: null is of the wrong type; " + epochs},
      {"train.epochs=[3]", "train.epochs: an array is of the wrong type; " + epochs},
      {"optimizer.lr=NaN", R"(optimizer.lr: the string "NaN" is of the wrong type; )" + lr},
      {"optimizer.lr=1e400",
       R"(optimizer.lr: the string "1e400" is of the wrong type; )" + lr + json},
      {"optimizer.lr=.5", R"(optimizer.lr: the string ".5" is of the wrong type; )" + lr + json},
      {"optimizer.lr=-1", "optimizer.lr: -1 is out of range; " + lr},
      {"swa.enabled=yes",
       R"(swa.enabled: the string "yes" is of the wrong type; give true or false)"},
      {"train.device=gpu", R"(train.device: "gpu" is no choice; did you mean cpu? )"
                           "(choices: auto | cuda | cpu)"},
      {"output.name=7",
       "output.name: 7 is a number; to give it as a string, quote it twice: "
       R"('output.name="7"')"},
      {"output.name=../x",
       R"(output.name: "../x" is no plain name; set output.dir for another folder)"},
      {"data.train=t.csv",
       "data.train: given, but data.kind synthetic reads data.root; remove it "
       "or set data.kind to csv"},
      {"train=3", "train: 3 is of the wrong type; give an object with "},
      {"=3", "not an override; write key.path=value"},
  };
  for (const WrongOverride& c : cases) {
    SCOPED_TRACE(c.argument);
    const Outcome run = affuse(folder, {"train", "a.json", c.argument});
    const std::string line = "argument '" + c.argument + "': " + c.error;
    if (c.argument == "train=3")  // the list of keys grows
      EXPECT_TRUE(complaint(run, 2).starts_with(line)) << run.err;
    else
      EXPECT_EQ(complaint(run, 2), line);
    EXPECT_EQ(run.out, "");
  }
  expect_refused(folder, {"train", "a.json", "train.epochs"},
                 R"(argument "train.epochs": a second configuration file; give one, and overrides )"
                 "as key.path=value");
  expect_refused(folder, {"train", "a.json", "data.classes=[\"a\", \"a\"]"},
                 "argument 'data.classes=[\\\"a\\\", \\\"a\\\"]': data.classes: \"a\" stands "
                 "twice; name every class once");
  EXPECT_TRUE(
      contains(affuse_ok(folder, {"train", "a.json", "--print-config", "output.name=\"7\""}),
               "\"name\": \"7\""));
}

}  // namespace
}  // namespace affuse::test
