// Configurations that are no JSON or no text, each with the line that refuses it.
#pragma once
#include <string>
#include <vector>

#include "tests/apps/wrong_values.h"

namespace affuse::test {

inline std::string repeated(const std::string& part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

inline std::vector<WrongConfig> wrong_syntax() {
  const std::string kDeep = "1: nested deeper than 64 levels; flatten it";
  std::vector<WrongConfig> all = {
      {"Empty", "",
       R"(1: column 1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
      {"OnlySpace", " \n\n",
       R"(3: column 1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
      {"OnlyComment", "// nothing here",
       R"(1: column 16: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal; write an object {"data": ...})"},
      {"TrailingComma", given(R"("train": {"epochs": 3,})"),
       "3: column 25: syntax error while parsing object key - unexpected '}'; expected string "
       "literal; remove the comma or write the value before it"},
      {"TrailingCommaInArray", given(R"("augment": {"scale": [1, 2,]})"),
       "3: column 30: syntax error while parsing value - unexpected ']'; expected '[', '{', or a "
       "literal; remove the comma or write the value before it"},
      {"MissingComma", given("\"train\": {\"epochs\": 3}\n  \"swa\": {}"),
       "4: column 7: syntax error while parsing object - unexpected string literal; expected '}'; "
       "a "
       "comma or a bracket is missing before it"},
      {"MissingColon", given(R"("train" {"epochs": 3})"),
       "3: column 11: syntax error while parsing object separator - unexpected '{'; expected ':'; "
       "write a colon between key and value"},
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
       "3: column 24: syntax error while parsing object - unexpected ']'; expected '}'; a comma or "
       "a "
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
       "3: column 22: syntax error while parsing object - invalid literal; last read: '0x'; "
       "expected "
       "'}'; put strings into double quotes; true, false, null and decimal numbers go without"},
      {"LeadingZero", given(R"("train": {"seed": 007})"),
       "3: column 22: syntax error while parsing object - unexpected number literal; expected '}'; "
       "write numbers without leading zeros and a comma between two values"},
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
      {"TwoLines", "{}\n{\"train\": {}}\n",
       "2: column 1: syntax error while parsing value - unexpected '{'; expected end of input; "
       "remove what follows the first value"},
      {"Depth65", std::string(65, '[') + std::string(65, ']'), kDeep},
      {"Depth100000", std::string(100000, '['), kDeep},
      {"DeepObjects", repeated("{\"a\":", 100000), kDeep},
  };
  for (WrongConfig& row : all)  // 65 brackets are JSON to a schema, but no object
    row.schema = row.name == "Depth65" ? SchemaSays::refuses : SchemaSays::no_json;
  return all;
}

inline std::vector<WrongConfig> wrong_encodings() {
  using namespace std::string_literals;
  const std::string kNotUtf8 = "not UTF-8; save the file as UTF-8 text";
  const std::string kNul = "a NUL byte; save the file as UTF-8 text";
  const std::string kUtf16 = "1: the file is UTF-16; save it as UTF-8";
  const std::string kUtf32 = "1: the file is UTF-32; save it as UTF-8";
  std::vector<WrongConfig> all = {
      {"Utf16", "\xFF\xFE{\0}\0"s, kUtf16},
      {"Utf16BigEndian", "\xFE\xFF\0{\0}"s, kUtf16},
      {"Utf32", "\xFF\xFE\0\0{\0\0\0}\0\0\0"s, kUtf32},
      {"Utf32BigEndian", "\0\0\xFE\xFF\0\0\0{\0\0\0}"s, kUtf32},
      {"Utf16WithoutMark", "{\0}\0"s, "1: " + kNul},
      {"Latin1", given("\"model\": {\"init\": \"caf\xE9\"}"), "3: " + kNotUtf8},
      {"Latin1InComment", given("// caf\xE9\n"), "3: " + kNotUtf8},
      {"Overlong", given("\"model\": {\"init\": \"\xC0\xAF\"}"), "3: " + kNotUtf8},
      {"Overlong3", given("\"model\": {\"init\": \"\xE0\x80\xAF\"}"), "3: " + kNotUtf8},
      {"Overlong4", given("\"model\": {\"init\": \"\xF0\x80\x80\xAF\"}"), "3: " + kNotUtf8},
      {"Surrogate", given("\"model\": {\"init\": \"\xED\xA0\x80\"}"), "3: " + kNotUtf8},
      {"Beyond", given("\"model\": {\"init\": \"\xF4\x90\x80\x80\"}"), "3: " + kNotUtf8},
      {"Continuation", "{\n\"a\x80\": 1}", "2: " + kNotUtf8},
      {"CutAtTheEnd", "{\n// \xE2\x82", "2: " + kNotUtf8},
      {"Nul", "{\n\"data\": \0}"s, "2: " + kNul},
      {"NulAtTheEnd", "{\n}\0"s, "2: " + kNul},
      {"MarkThenError", "\xEF\xBB\xBF{\"a\" 1}",
       "1: column 6: syntax error while parsing object separator - unexpected number literal; "
       "expected ':'; write a colon between key and value"},
  };
  for (WrongConfig& row : all) row.schema = SchemaSays::no_json;
  return all;
}

}  // namespace affuse::test
