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

namespace affuse {
namespace {

struct Refusal {
  std::string name, text, error;  // error: behind "a.json:"
};

/// A whole file with `rest` on line 3.
std::string given(const std::string& rest) {
  return "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\"},\n  " + rest + "\n}\n";
}

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "a.json");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

const std::vector<Refusal> kSyntax = {
    {"Empty", "",
     R"(1: column 1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
    {"OnlySpace", " \n\n",
     R"(3: column 1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
    {"OnlyComment", "// nothing here",
     R"(1: column 16: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
    {"TopLevelArray", "[1, 2]", R"(1: the top level is an array; write an object {"data": ...})"},
    {"TopLevelNumber", "\n5", R"(2: the top level is 5; write an object {"data": ...})"},
    {"TrailingComma", given(R"("train": {"epochs": 3,})"),
     "3: column 25: syntax error while parsing object key - unexpected '}'; expected string "
     "literal; remove the comma or write the value before it"},
    {"TrailingCommaInArray", given(R"("augment": {"scale": [1, 2,]})"),
     "3: column 30: syntax error while parsing value - unexpected ']'; expected '[', '{', or a "
     "literal; remove the comma or write the value before it"},
    {"MissingComma", given("\"train\": {\"epochs\": 3}\n  \"swa\": {}"),
     "4: column 7: syntax error while parsing object - unexpected string literal; expected '}'; a "
     "comma or a bracket is missing before it"},
    {"MissingColon", given(R"("train" {"epochs": 3})"),
     "3: column 11: syntax error while parsing object separator - unexpected '{'; expected ':'; "
     "correct the JSON here"},
    {"MissingBrace",
     "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\"},\n  \"train\": {\"epochs\": "
     "3}\n",
     "4: column 1: syntax error while parsing object - unexpected end of input; expected '}'; "
     "close every open brace, bracket and comment"},
    {"ExtraBrace",
     "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\"},\n  \"train\": {\"epochs\": "
     "3}\n}\n}",
     "5: column 1: syntax error while parsing value - unexpected '}'; expected end of input; "
     "remove what follows the first value"},
    {"WrongBracket", given(R"("train": {"epochs": 3])"),
     "3: column 24: syntax error while parsing object - unexpected ']'; expected '}'; a comma or a "
     "bracket is missing before it"},
    {"SingleQuotes", "{'data': 3}",
     "1: column 2: syntax error while parsing object key - invalid literal; last read: '{''; "
     "expected string literal; put keys into double quotes; comments start with //"},
    {"BareKey", "{data: 3}",
     "1: column 2: syntax error while parsing object key - invalid literal; last read: '{d'; "
     "expected string literal; put keys into double quotes; comments start with //"},
    {"BareWord", given(R"("train": {"device": cpu})"),
     R"(3: column 23: syntax error while parsing value - invalid literal; last read: '"device": c'; put strings into double quotes; true, false, null and decimal numbers go without)"},
    {"NaN", given(R"("optimizer": {"lr": NaN})"),
     R"(3: column 23: syntax error while parsing value - invalid literal; last read: '"lr": N'; put strings into double quotes; true, false, null and decimal numbers go without)"},
    {"Infinity", given(R"("optimizer": {"lr": Infinity})"),
     R"(3: column 23: syntax error while parsing value - invalid literal; last read: '"lr": I'; put strings into double quotes; true, false, null and decimal numbers go without)"},
    {"MinusInfinity", given(R"("optimizer": {"lr": -Infinity})"),
     "3: column 24: syntax error while parsing value - invalid number; expected digit after '-'; "
     "last read: '-I'; write a decimal number, like -0.5 or 1e-3"},
    {"Hexadecimal", given(R"("train": {"seed": 0x10})"),
     "3: column 22: syntax error while parsing object - invalid literal; last read: '0x'; expected "
     "'}'; put strings into double quotes; true, false, null and decimal numbers go without"},
    {"LeadingZero", given(R"("train": {"seed": 007})"),
     "3: column 22: syntax error while parsing object - unexpected number literal; expected '}'; a "
     "comma or a bracket is missing before it"},
    {"LeadingPlus", given(R"("train": {"seed": +7})"),
     R"(3: column 21: syntax error while parsing value - invalid literal; last read: '"seed": +'; put strings into double quotes; true, false, null and decimal numbers go without)"},
    {"BareFraction", given(R"("optimizer": {"lr": .1})"),
     R"(3: column 23: syntax error while parsing value - invalid literal; last read: '"lr": .'; put strings into double quotes; true, false, null and decimal numbers go without)"},
    {"OpenString", given(R"("model": {"init": "a})"),
     R"(3: column 24: syntax error while parsing value - invalid string: control character U+000A (LF) must be escaped to \u000A or \n; last read: '"a}<U+000A>'; close the string on its line and write \\ for a backslash)"},
    {"OpenComment", given(R"(/* "train": {})"),
     R"(5: column 1: syntax error while parsing object key - invalid comment; missing closing '*/'; last read: '"faces"},<U+000A>  /* "train": {}<U+000A>}<U+000A>'; expected string literal; close every open brace, bracket and comment)"},
    {"HashComment", given("# comment"),
     R"(3: column 3: syntax error while parsing object key - invalid literal; last read: '"faces"},<U+000A>  #'; expected string literal; put keys into double quotes; comments start with //)"},
    {"BadEscape", given(R"("model": {"init": "a\x"})"),
     R"(3: column 24: syntax error while parsing value - invalid string: forbidden character after backslash; last read: '"a\x'; close the string on its line and write \\ for a backslash)"},
    {"LoneSurrogate", given(R"("model": {"init": "\ud800"})"),
     R"(3: column 28: syntax error while parsing value - invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF; last read: '"\ud800"'; close the string on its line and write \\ for a backslash)"},
    {"TwoValues", "{} {}",
     "1: column 4: syntax error while parsing value - unexpected '{'; expected end of input; "
     "remove what follows the first value"},
};

TEST(ConfigHostile, EachSyntaxErrorGivesLineAndColumn) {
  for (const Refusal& r : kSyntax) EXPECT_EQ(error_of(r.text), "a.json:" + r.error) << r.name;
}

TEST(ConfigHostile, OtherEncodingsAreNamed) {
  using namespace std::string_literals;
  const std::string not_utf8 = "not UTF-8; save the file as UTF-8 text";
  const std::string nul = "a NUL byte; save the file as UTF-8 text";
  const std::vector<Refusal> cases = {
      {"Utf16", "\xFF\xFE{\0}\0"s, "1: the file is UTF-16; save it as UTF-8"},
      {"Utf16BigEndian", "\xFE\xFF\0{\0}"s, "1: the file is UTF-16; save it as UTF-8"},
      {"Utf16WithoutMark", "{\0}\0"s, "1: " + nul},
      {"Latin1", given("\"model\": {\"init\": \"caf\xE9\"}"), "3: " + not_utf8},
      {"Latin1InComment", given("// caf\xE9\n"), "3: " + not_utf8},
      {"Overlong", given("\"model\": {\"init\": \"\xC0\xAF\"}"), "3: " + not_utf8},
      {"Overlong3", given("\"model\": {\"init\": \"\xE0\x80\xAF\"}"), "3: " + not_utf8},
      {"Overlong4", given("\"model\": {\"init\": \"\xF0\x80\x80\xAF\"}"), "3: " + not_utf8},
      {"Surrogate", given("\"model\": {\"init\": \"\xED\xA0\x80\"}"), "3: " + not_utf8},
      {"Beyond", given("\"model\": {\"init\": \"\xF4\x90\x80\x80\"}"), "3: " + not_utf8},
      {"Continuation", "{\n\"a\x80\": 1}", "2: " + not_utf8},
      {"CutAtTheEnd", "{\n// \xE2\x82", "2: " + not_utf8},
      {"Nul", "{\n\"data\": \0}"s, "2: " + nul},
      {"NulAtTheEnd", "{\n}\0"s, "2: " + nul},
  };
  for (const Refusal& r : cases) EXPECT_EQ(error_of(r.text), "a.json:" + r.error) << r.name;
  EXPECT_EQ(error_of("\xEF\xBB\xBF" + given("\"model\": {\"init\": \"caf\xC3\xA9\"}")), "accepted");
  EXPECT_EQ(error_of("\xEF\xBB\xBF{\"a\" 1}").substr(0, 19), "a.json:1: column 6:");
}

TEST(ConfigHostile, DepthIsCapped) {
  const std::string deep = "a.json:1: nested deeper than 64 levels; flatten it";
  EXPECT_EQ(error_of(std::string(65, '[') + std::string(65, ']')), deep);
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')),
            "a.json:1: the top level is an array; write an object {\"data\": ...}");
  EXPECT_EQ(error_of(std::string(1000000, '[')), deep);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(error_of(objects), deep);
}

TEST(ConfigHostile, KeysAreCapped) {
  std::string text = "{";
  for (int i = 0; i < 2000; ++i) text += "\"k" + std::to_string(i) + "\": 1,\n";
  EXPECT_EQ(error_of(text), "a.json:1001: more keys than any configuration has; remove some");
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
