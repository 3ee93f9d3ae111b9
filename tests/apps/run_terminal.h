// Runs a program in a terminal of its own, as a user at a keyboard does.
#pragma once
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/apps/run_affuse.h"

namespace affuse::test {

/// A program whose stdin, stdout and stderr are a terminal of so many columns.
class TerminalProgram {
 public:
  TerminalProgram(const std::string& folder, Arguments command, unsigned short columns,
                  const std::vector<std::pair<std::string, std::string>>& environment) {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    winsize size{};
    size.ws_row = 24;
    size.ws_col = columns;
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      ::setenv("TERM", "xterm", 1);
      ::unsetenv("NO_COLOR");
      ::setenv("OMP_WAIT_POLICY", "passive", 1);
      for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
      if (::chdir(folder.c_str()) == 0) ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    EXPECT_GT(pid_, 0);
  }
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;
  ~TerminalProgram() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(terminal_);
  }

  void type(const std::string& keys) const {
    EXPECT_EQ(::write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  /// Reads until `mark` has come, or the program's end; returns everything so far.
  const std::string& read_until(const std::string& mark) {
    char buffer[4096];
    while (text_.find(mark) == std::string::npos || mark.empty()) {
      const ssize_t n = ::read(terminal_, buffer, sizeof buffer);
      if (n <= 0) break;  // EIO: the program has ended
      text_.append(buffer, static_cast<std::size_t>(n));
    }
    return text_;
  }

  /// Reads to the end; the exit status.
  int finish() {
    read_until("");
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& text() const { return text_; }

 private:
  int terminal_ = -1;
  pid_t pid_ = -1;
  std::string text_;
};

}  // namespace affuse::test
