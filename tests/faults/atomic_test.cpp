// A checkpoint is written while any one of its calls fails: last or prev can be read behind it.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/error.h"
#include "engine/file.h"
#include "tests/data/scratch.h"
#include "tests/faults/calls/fault.h"
#include "weights/checkpoint.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
using faults::Fault;
using scratch::Folder;

/// Small tensors, which are gathered, and ones above the buffer's size. All values say `version`.
Checkpoint checkpoint_of(int version) {
  Checkpoint c;
  const auto value = static_cast<float>(version);
  for (const std::size_t size : {std::size_t{3}, std::size_t{20000}, std::size_t{70000}}) {
    const std::string name = "t" + std::to_string(size);
    c.tensors[name] = {{static_cast<std::int64_t>(size)}, std::vector(size, value), {}, false};
  }
  c.metadata["version"] = std::to_string(version);
  return c;
}

class AtomicWrite : public testing::Test {
 protected:
  /// prev holds 0, last 1, nothing else is there.
  void reset() const {
    fs::remove_all(root_);
    fs::create_directory(root_);
    write(0);
    write(1);
  }
  void write(int version) const { write_checkpoint(last_, prev_, checkpoint_of(version)); }

  /// Version 2 under faults; returns the error's line, empty where there is none.
  std::string write_under(const std::vector<Fault>& faults, const std::string& log = {}) const {
    faults::arm({fs::canonical(root_), log, faults});
    std::string line;
    try {
      write(2);
    } catch (const FileError& e) {
      line = e.what();
    }
    EXPECT_EQ(faults::disarm(), static_cast<int>(faults.size())) << "faults that struck";
    return line;
  }
  /// How often each call on each file comes in writing a checkpoint.
  std::map<std::pair<std::string, std::string>, int> calls() const {
    reset();
    EXPECT_EQ(write_under({}, folder_ / "log"), "");
    std::ifstream log(folder_ / "log");
    std::map<std::pair<std::string, std::string>, int> counts;
    for (std::string call, name; log >> call >> name;) ++counts[{call, name}];
    return counts;
  }
  static int version(const std::string& path) {
    const Checkpoint c = read_checkpoint(path);
    const int value = std::stoi(c.metadata.at("version"));
    EXPECT_TRUE(c.tensors == checkpoint_of(value).tensors);
    return value;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(root_), fs::directory_iterator()));
  }
  /// Nothing of the failure is in the way of the next checkpoint.
  void expect_goes_on(int last) const {
    write(3);
    EXPECT_EQ(version(last_), 3);
    EXPECT_EQ(version(prev_), last);
    EXPECT_EQ(files(), 2u);
  }

  const Folder folder_;
  const std::string root_ = folder_ / "checkpoints";
  const std::string last_ = root_ + "/last.safetensors", prev_ = root_ + "/prev.safetensors";
};

TEST_F(AtomicWrite, MakesTheCallsThatTheFaultsAreFor) {
  const auto counts = calls();
  const std::string temporary = "last.safetensors.tmp";
  const auto count = [&](const char* call, const std::string& name) {
    const auto found = counts.find({call, name});
    return found != counts.end() ? found->second : 0;
  };
  EXPECT_EQ(count("open", temporary), 1);
  EXPECT_GE(count("write", temporary), 4) << "one a large tensor, and the small ones";
  EXPECT_EQ(count("fsync", temporary), 1);
  EXPECT_EQ(count("close", temporary), 1);
  EXPECT_EQ(count("rename", temporary), 1);
  EXPECT_EQ(count("link", "last.safetensors"), 1);
  EXPECT_EQ(count("unlink", "prev.safetensors"), 1);
  EXPECT_EQ(count("read", "."), 1);
  EXPECT_EQ(count("fsync", "."), 1);
  EXPECT_EQ(counts.size(), 9u);
}

TEST_F(AtomicWrite, AnyCallMayFail) {
  for (const auto& [key, count] : calls()) {
    const auto& [call, name] = key;
    for (int nth = 1; nth <= count; ++nth) {
      for (const int error : {ENOSPC, EIO}) {
        SCOPED_TRACE(call + " " + name + " " + std::to_string(nth) + " " + std::strerror(error));
        reset();
        const std::string line = write_under({{call, name, nth, error}});
        const bool in_place = name == "." || call == "link";  // a rename stands in for the link
        EXPECT_EQ(line.empty(), call == "link") << line;
        if (!line.empty()) {
          EXPECT_TRUE(line.starts_with(root_ + "/" +
                                       (name == "." ? "" : name.substr(0, name.find(".tmp")))))
              << line;
          EXPECT_NE(line.find(std::strerror(error)), std::string::npos) << line;
          EXPECT_NE(line.find(error == ENOSPC ? "; free some space" : "; check the disk"),
                    std::string::npos)
              << line;
        }
        EXPECT_EQ(version(last_), in_place ? 2 : 1);
        EXPECT_EQ(files(), fs::exists(prev_) ? 2u : 1u) << "a temporary is left";
        expect_goes_on(in_place ? 2 : 1);
      }
    }
  }
}

TEST_F(AtomicWrite, InterruptedAndShortCallsGoOn) {
  for (const auto& [key, count] : calls()) {
    const auto& [call, name] = key;
    if (call == "rename" || call == "link" || call == "unlink") continue;  // never interrupted
    for (int nth = 1; nth <= count; ++nth) {
      for (const int error : {EINTR, 0}) {
        if (error == 0 && call != "write") continue;
        SCOPED_TRACE(call + " " + name + " " + std::to_string(nth) + " " + std::to_string(error));
        reset();
        EXPECT_EQ(write_under({{call, name, nth, error}}), "");
        EXPECT_EQ(version(last_), 2);
        EXPECT_EQ(version(prev_), 1);
        EXPECT_EQ(files(), 2u);
      }
    }
  }
}

TEST_F(AtomicWrite, ADiskThatFillsUpInTheMiddleOfAWrite) {
  reset();
  const std::string temporary = "last.safetensors.tmp";
  const std::string line =
      write_under({{"write", temporary, 2, 0}, {"write", temporary, 3, ENOSPC}});
  EXPECT_TRUE(line.ends_with(": write: No space left on device; free some space")) << line;
  EXPECT_EQ(version(last_), 1);
  EXPECT_EQ(version(prev_), 0);
  expect_goes_on(1);
}

TEST_F(AtomicWrite, ATemporaryThatCannotBeRemovedIsWrittenOver) {
  reset();
  const std::string temporary = "last.safetensors.tmp";
  EXPECT_NE(write_under({{"write", temporary, 3, EIO}, {"unlink", temporary, 1, EIO}}), "");
  EXPECT_TRUE(fs::exists(root_ + "/" + temporary));
  EXPECT_EQ(version(last_), 1);
  expect_goes_on(1);
}

// A file system without hard links: last is moved away, and comes back.
TEST_F(AtomicWrite, WithoutLinksAFailedRenameIsUndone) {
  reset();
  const std::string line = write_under(
      {{"link", "last.safetensors", 1, EPERM}, {"rename", "last.safetensors.tmp", 1, EIO}});
  EXPECT_TRUE(line.starts_with(last_ + ": rename: ")) << line;
  EXPECT_EQ(version(last_), 1);
  EXPECT_EQ(files(), 1u) << "what was prev is gone";
  expect_goes_on(1);
}

}  // namespace
}  // namespace affuse
