// Runs the program as a user does: arguments in; exit status, stdout and stderr out.
#pragma once
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/csv.h"
#include "engine/file.h"
#include "tests/data/scratch.h"

namespace affuse::test {

using Arguments = std::vector<std::string>;
using scratch::Folder;

/// Seconds after which a program counts as hung; sanitizers make it slow.
inline constexpr double kPatience = 400;

struct Outcome {
  int status = -1;  ///< exit status, or 128 + the signal that ended it
  std::string out, err;
};

/// How a program is started: what comes before affuse on the command line, and variables.
struct Launch {
  Arguments launcher;
  std::vector<std::pair<std::string, std::string>> environment;
};

/// The program at work in `folder`. stdout goes to `out_file`, by default a file of its own.
class Program {
 public:
  Program(const std::string& folder, Arguments arguments, std::string out_file = {},
          const Launch& launch = {})
      : out_(std::move(out_file)), err_(next_file(folder, "err")) {
    if (out_.empty()) out_ = next_file(folder, "out");
    arguments.insert(arguments.begin(), AFFUSE_BINARY);
    arguments.insert(arguments.begin(), launch.launcher.begin(), launch.launcher.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) child(folder.c_str(), argv.data(), launch);
    EXPECT_GT(pid_, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void signal(int number) const { ::kill(pid_, number); }
  pid_t process() const { return pid_; }
  /// SIGSTOP, and waits until every thread stands; false where the program ended first. SIGCONT
  /// lets it go on.
  bool halt() const {
    signal(SIGSTOP);
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid_);
    return ::waitid(P_PID, id, &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
           info.si_code == CLD_STOPPED;
  }

  /// Polls until `ready` or the program's end; whether `ready` came first.
  bool wait_until(const std::function<bool()>& ready) {
    while (!ready()) {
      if (ended()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  Outcome finish() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kPatience);
    while (!ended()) {
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << "the program hangs; killed";
        signal(SIGKILL);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {status_, is_regular(out_) ? read_text(out_) : std::string(), read_text(err_)};
  }

 private:
  static std::string next_file(const std::string& folder, const char* what) {
    static int number = 0;
    return folder + "/." + what + std::to_string(++number);
  }
  static bool is_regular(const std::string& path) { return std::filesystem::is_regular_file(path); }

  [[noreturn]] void child(const char* folder, char* const* argv, const Launch& launch) const {
    const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT, 0644);
    const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT, 0644);
    const int in = ::open("/dev/null", O_RDONLY);
    // Whoever runs the tests in the background may ignore some.
    for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGPIPE})
      std::signal(number, SIG_DFL);
    ::setenv("OMP_WAIT_POLICY", "passive", 1);  // spinning threads starve each other in ctest -j
    for (const auto& [name, value] : launch.environment) ::setenv(name.c_str(), value.c_str(), 1);
    const bool ready = ::dup2(in, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(err, 2) == 2;
    if (ready && ::chdir(folder) == 0) ::execvp(argv[0], argv);
    ::_exit(127);
  }

  bool ended() {
    if (pid_ <= 0) return true;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = 0;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  }

  std::string out_, err_;
  pid_t pid_ = 0;
  int status_ = -1;
};

/// Runs to the end.
inline Outcome affuse(const Folder& folder, Arguments arguments, std::string out_file = {}) {
  return Program(folder.path(), std::move(arguments), std::move(out_file)).finish();
}

/// Runs to the end and expects success; returns stdout.
inline std::string affuse_ok(const Folder& folder, const Arguments& arguments) {
  const Outcome outcome = affuse(folder, arguments);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.out;
}

/// The one line "affuse: ..." that a failure ends with, without the prefix; a test failure where
/// the status differs, there is no such line or more than one.
inline std::string complaint(const Outcome& outcome, int status) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  const std::string prefix = "affuse: ";
  const std::string text = "\n" + outcome.err;
  const std::size_t at = text.find("\n" + prefix);
  if (at == std::string::npos) {
    ADD_FAILURE() << "no complaint in: " << outcome.err;
    return {};
  }
  const std::string line = text.substr(at + 1 + prefix.size());
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line, the last: " << line;
  return line.substr(0, line.find('\n'));
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Files of two run folders that must hold the same bytes.
inline void expect_same_files(const Folder& folder, const std::string& run,
                              const std::string& reference, const Arguments& names) {
  for (const std::string& name : names)
    EXPECT_TRUE(read_text(folder / run + "/" + name) == read_text(folder / reference + "/" + name))
        << run << "/" << name;
}

/// A set of 96 training and 48 validation faces of 32x32 pixels in FOLDER/faces.
inline void draw_faces(const Folder& folder, const std::string& layout) {
  affuse_ok(folder, {"synth", "--out", "faces", "--train", "96", "--val", "48", "--size", "32",
                     "--layout", layout, "--quiet"});
}

/// Writes FOLDER/c.json for a set from draw_faces (or one to be drawn: "synthetic"): a quarter of
/// the channels, 6 steps of 16 faces an epoch.
inline void write_config(const Folder& folder, const std::string& kind) {
  const std::string data =
      kind == "csv"
          ? R"("train": "faces/train.csv", "val": "faces/val.csv", "classes": ["Neutral", "Happy",
               "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"])"
          : R"("root": "faces", "synthetic": {"train": 96, "val": 48, "size": 32})";
  folder.write("c.json", R"({"data": {"kind": ")" + kind + R"(", "image_size": 32, )" + data + R"(},
    "label_model": {"kind": "gmm"}, "model": {"width": 0.25},
    "train": {"epochs": 2, "batch_size": 16, "log_every": 1, "device": "cpu", "threads": 2}})");
}

}  // namespace affuse::test
