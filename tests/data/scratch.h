// A folder of its own for one test, and files to put into it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "data/image.h"
#include "gtest/gtest.h"

namespace affuse::scratch {

/// Made empty under TempDir(), removed at the end.
class Folder {
 public:
  Folder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "affuse_" + test->test_suite_name() + "_" + test->name() + "_" +
            std::to_string(::getpid());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  /// Writes a file below the folder (plainly: an fsync a file would be slow); returns its path.
  std::string write(std::string_view name, std::string_view bytes) const {
    const std::string at = *this / name;
    std::filesystem::create_directories(std::filesystem::path(at).parent_path());
    std::ofstream file(at, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    EXPECT_TRUE(file.good()) << at;
    return at;
  }
  std::string write(std::string_view name, const std::vector<std::uint8_t>& bytes) const {
    return write(name, std::string(bytes.begin(), bytes.end()));
  }

 private:
  std::string path_;
};

/// A picture that differs for each seed: gradients in three colours.
inline Image picture(int width, int height, int seed) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<std::uint8_t>(seed * 37 + x * 3));
      image.rgb.push_back(static_cast<std::uint8_t>(seed * 11 + y * 5));
      image.rgb.push_back(static_cast<std::uint8_t>(seed * 5 + x + y));
    }
  }
  return image;
}

/// The message of the E that `call` throws; a test failure when it throws none.
template <class E, class Call>
std::string message(const Call& call) {
  try {
    call();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace affuse::scratch
