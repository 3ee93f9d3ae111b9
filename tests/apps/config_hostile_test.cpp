// Configurations that are no JSON, no text, or made to do harm.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"
#include "engine/error.h"
#include "tests/apps/wrong_json.h"

namespace affuse {
namespace {

using test::given;

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "a.json");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(ConfigHostile, WhatIsNoJsonOrNoTextGivesItsLine) {
  for (const auto& rows : {test::wrong_syntax(), test::wrong_encodings()}) {
    for (const test::WrongConfig& r : rows)
      EXPECT_EQ(error_of(r.text), "a.json:" + r.error) << r.name;
  }
  EXPECT_EQ(error_of("\xEF\xBB\xBF" + given("\"model\": {\"init\": \"caf\xC3\xA9\"}")), "accepted");
}

TEST(ConfigHostile, DepthIsCapped) {
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')),
            "a.json:1: the top level is an array; write an object {\"data\": ...}");
  EXPECT_EQ(error_of(std::string(1000000, '[')),
            "a.json:1: nested deeper than 64 levels; flatten it");
}

TEST(ConfigHostile, CommentsAndLineEndsCount) {
  EXPECT_EQ(error_of("// one\r\n/* two\r\n three */\r\n{\"bananas\": 1}").substr(0, 18),
            "a.json:4: bananas:");
  EXPECT_EQ(error_of("{\"train\":\n{\"epochs\"\n:\n0\n}}").substr(0, 24),
            "a.json:4: train.epochs: ");
  EXPECT_EQ(error_of("{\"train\":\n{\"epochs\": 1, \"seed\": \"a\"\n\n}}").substr(0, 21),
            "a.json:2: train.seed:");
}

TEST(ConfigHostile, OverridesAreOneLine) {
  const auto override_error = [](const std::string& argument) -> std::string {
    try {
      parse_config(given("\"model\": {}"), "a.json", {argument});
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "accepted";
  };
  for (const std::string& argument :
       {std::string("model.init=a\nb"), std::string("model.init=\"a\\u0000\""),
        std::string("a\nb=1"), std::string("model.init=") + '\0', std::string("model.init=\xFF"),
        std::string("="), std::string("model.init={\"a\": "), std::string("augment.scale=[1, 2"),
        std::string("train..epochs=1"), std::string(".=1"),
        "model.init=" + std::string(100000, '['), std::string("versions.a=1"),
        std::string(5000, 'a'), std::string("data.classes=[\"a\", \"a\"]")}) {
    const std::string error = override_error(argument);
    EXPECT_TRUE(error.starts_with("argument '")) << error.substr(0, 200);
    EXPECT_EQ(error.find_first_of(std::string("\n\r\0", 3)), std::string::npos) << error;
    EXPECT_LT(error.size(), 600u);
  }
}

TEST(ConfigHostile, FilesThatCannotBeRead) {
  const std::string folder = testing::TempDir() + "affuse_config_hostile";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/big.json") << std::string((1 << 20) + 1, ' ');
  for (const char* name : {"/missing.json", "", "/big.json"}) {
    try {
      load_config(folder + name);
      ADD_FAILURE() << "accepted: " << name;
    } catch (const ConfigError& e) {
      const std::string what = e.what();
      EXPECT_TRUE(what.starts_with(folder + name)) << what;
      EXPECT_EQ(what.find('\n'), std::string::npos);
    }
  }
  std::filesystem::remove_all(folder);
}

/// Any bytes end as a Config or as a ConfigError of one line that names the file.
TEST(ConfigHostile, MutatedFilesNeverDoHarm) {
  std::ifstream in(std::string(AFFUSE_SOURCE_DIR) + "/configs/affectnet.json", std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(error_of(good), "accepted");
  const std::string tokens = "{}[]:,\"\\/*0123456789.eE+-truefalsnN \n\x80\xC3\xFF";
  std::mt19937_64 random(7);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string text = good;
    for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = tokens[random() % tokens.size()];
          break;
        case 1:
          text.insert(at, 1, tokens[random() % tokens.size()]);
          break;
        case 2:
          text.erase(at, 1 + random() % 20);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
      }
      if (text.empty()) text = "{";
    }
    const std::string error = error_of(text);
    if (error == "accepted") continue;
    ++refused;
    EXPECT_TRUE(error.starts_with("a.json:")) << error;
    EXPECT_EQ(error.find_first_of("\n\r"), std::string::npos) << error;
    EXPECT_NE(error.find("; "), std::string::npos) << "no advice: " << error;
    EXPECT_LT(error.size(), 600u) << error;
  }
  EXPECT_GT(refused, 200);
  EXPECT_LT(refused, 1000);  // mutations inside comments do no harm
}

}  // namespace
}  // namespace affuse
