// The reader stands on nlohmann's SAX parser, which is not recursive; the lines come from an
// iterator that counts what the lexer consumed.
#include "apps/config/json_text.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace affuse {
namespace {

using Kind = JsonNode::Kind;
constexpr std::size_t kMaxDepth = 64;

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t* consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*consumed_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  std::size_t* consumed_;
};

/// Lines of growing offsets in one pass.
class LineCounter {
 public:
  explicit LineCounter(std::string_view text) : text_(text) {}
  /// Line of the byte before `consumed`: a number's end is known only one byte after it.
  int line(std::size_t consumed) {
    const std::size_t end = std::min(consumed == 0 ? 0 : consumed - 1, text_.size());
    for (; done_ < end; ++done_) line_ += text_[done_] == '\n' ? 1 : 0;
    return line_;
  }

 private:
  std::string_view text_;
  std::size_t done_ = 0;
  int line_ = 1;
};

/// nlohmann's words, without their prefix, with what to do.
std::string syntax_message(std::string what) {
  for (const std::string_view cut : {"column ", "] "}) {
    const std::size_t at = what.find(cut);
    if (at == std::string::npos) continue;
    const std::size_t colon = cut == "] " ? at : what.find(": ", at);
    if (colon == std::string::npos) continue;
    what.erase(0, colon + 2);
    break;
  }
  const auto has = [&](std::string_view part) { return what.find(part) != std::string::npos; };
  struct Advice {
    bool applies;
    std::string_view text;
  };
  const Advice advices[] = {
      {has("number overflow"), "write a number that fits into 64 bits"},
      {has("end of input; expected '['"), "write an object {\"data\": ...}"},
      {has("unexpected end of input") || has("missing closing"),
       "close every open brace, bracket and comment"},
      {has("expected end of input"), "remove what follows the first value"},
      {has("unexpected '}'; expected string") || has("value - unexpected ']'") ||
           has("value - unexpected '}'"),
       "remove the comma or write the value before it"},
      {has("expected ':'"), "write a colon between key and value"},
      {has("unexpected number literal"),
       "write numbers without leading zeros and a comma between two values"},
      {has("unexpected") && (has("expected '}'") || has("expected ']'")),
       "a comma or a bracket is missing before it"},
      {has("object key"), "put keys into double quotes; comments start with //"},
      {has("invalid literal"),
       "put strings into double quotes; true, false, null and decimal numbers go without"},
      {has("invalid string"), "close the string on its line and write \\\\ for a backslash"},
      {has("invalid number"), "write a decimal number, like -0.5 or 1e-3"},
      {true, "correct the JSON here"}};
  const std::string_view advice =
      std::find_if(std::begin(advices), std::end(advices), [](const Advice& a) {
        return a.applies;
      })->text;
  if (what.size() > 240) {
    what.resize(240);
    while (!what.empty() && (static_cast<unsigned char>(what.back()) & 0x80U) != 0) what.pop_back();
    what += "...";
  }
  return fmt::format("{}; {}", what, advice);
}

class TreeBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  TreeBuilder(std::string_view text, std::string_view name, const std::size_t* consumed)
      : text_(text), name_(name), consumed_(consumed), lines_(text) {}

  JsonNode take() { return std::move(root_); }

  bool null() { return add(Kind::null) != nullptr; }
  bool boolean(bool value) {
    add(Kind::boolean)->boolean = value;
    return true;
  }
  bool number_integer(number_integer_t value) {
    return integer(value, static_cast<double>(value), std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) {
    constexpr std::uint64_t top = std::numeric_limits<std::int64_t>::max();
    return integer(static_cast<std::int64_t>(std::min<std::uint64_t>(value, top)),
                   static_cast<double>(value), std::to_string(value));
  }
  bool number_float(number_float_t value, const string_t& written) {
    if (written.find_first_of(".eE") == std::string::npos) {  // an integer beyond 64 bits
      using Limits = std::numeric_limits<std::int64_t>;
      return integer(value < 0 ? Limits::min() : Limits::max(), value, written);
    }
    JsonNode& node = *add(Kind::real);
    node.real = value;
    node.text = written;
    return true;
  }
  bool string(string_t& value) {
    if (has_control(value)) {
      const std::string path = open_path();
      fail(fmt::format("{}{}{} holds a control character; remove the escape sequence", path,
                       path.empty() ? "" : ": ", shown(value)));
    }
    add(Kind::text)->text = std::move(value);
    return true;
  }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Kind::object); }
  bool start_array(std::size_t) { return open(Kind::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(string_t& value) {
    if (has_control(value)) {
      fail(fmt::format("the key {} holds a control character; remove the escape sequence",
                       shown(value)));
    }
    JsonNode& object = *open_.back();
    const auto found = std::find(object.keys.begin(), object.keys.end(), value);
    if (found != object.keys.end()) {
      const auto first = static_cast<std::size_t>(found - object.keys.begin());
      object.keys.push_back(value);
      fail(fmt::format("{}: duplicate key (first on line {}); remove one of them", open_path(),
                       object.key_lines[first]));
    }
    if (object.keys.size() >= kMaxKeys) fail("more keys than any configuration has; remove some");
    object.keys.push_back(std::move(value));
    object.key_lines.push_back(line());
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& e) {
    const std::size_t end = std::min(position == 0 ? 0 : position - 1, text_.size());
    const std::size_t line_start = text_.substr(0, end).rfind('\n') + 1;  // npos + 1 == 0
    fail(fmt::format("column {}: {}", end - line_start + 1, syntax_message(e.what())), position);
  }

 private:
  static constexpr std::size_t kMaxKeys = 1000;  // the search for duplicates is linear

  int line() { return lines_.line(*consumed_); }
  [[noreturn]] void fail(const std::string& message, std::optional<std::size_t> position = {}) {
    const int at = position ? LineCounter(text_).line(*position) : line();
    throw ConfigError(fmt::format("{}:{}: {}", name_, at, message));
  }
  /// Path of the last key of every open object.
  std::string open_path() const {
    std::string path;
    for (const JsonNode* node : open_) {
      if (!node->keys.empty()) path += (path.empty() ? "" : ".") + node->keys.back();
    }
    const std::string quoted = shown(path);
    return quoted.substr(1, quoted.size() - 2);
  }
  static bool has_control(const std::string& value) {
    return std::any_of(value.begin(), value.end(), is_control);
  }
  JsonNode* add(Kind kind) {
    JsonNode* node = &root_;
    if (!open_.empty()) node = &open_.back()->items.emplace_back();
    node->kind = kind;
    node->line = line();
    return node;
  }
  bool integer(std::int64_t value, double real, std::string written) {
    JsonNode& node = *add(Kind::integer);
    node.integer = value;
    node.real = real;
    node.text = std::move(written);
    return true;
  }
  bool open(Kind kind) {
    if (open_.size() >= kMaxDepth) fail("nested deeper than 64 levels; flatten it");
    open_.push_back(add(kind));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_, name_;
  const std::size_t* consumed_;
  LineCounter lines_;
  JsonNode root_;
  std::vector<JsonNode*> open_;  // only the last one grows, so the others stay where they are
};

void check_encoding(std::string_view text, std::string_view name) {
  using std::string_view_literals::operator""sv;  // NOLINT(misc-unused-using-decls): it is used
  const bool utf32 = text.starts_with("\xFF\xFE\0\0"sv) || text.starts_with("\0\0\xFE\xFF"sv);
  if (utf32 || text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw ConfigError(
        fmt::format("{}:1: the file is UTF-{}; save it as UTF-8", name, utf32 ? 32 : 16));
  }
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = text[i] == '\0' ? 0 : utf8_length(text.substr(i));
    if (length == 0) {
      const std::string what = text[i] == '\0' ? "a NUL byte" : "not UTF-8";
      throw ConfigError(fmt::format("{}:{}: {}; save the file as UTF-8 text", name, line, what));
    }
    line += text[i] == '\n' ? 1 : 0;
    i += length;
  }
}

}  // namespace

JsonNode read_json(std::string_view text, std::string_view name, bool comments) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  check_encoding(text, name);
  std::size_t consumed = 0;
  TreeBuilder builder(text, name, &consumed);
  const CountingIterator first(text.data(), &consumed);
  const CountingIterator last(text.data() + text.size(), &consumed);
  if (!nlohmann::json::sax_parse(first, last, &builder, nlohmann::json::input_format_t::json, true,
                                 comments)) {
    throw ConfigError(fmt::format("{}: not JSON; correct it", name));
  }
  return builder.take();
}

std::string described(const JsonNode& node) {
  switch (node.kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return node.boolean ? "true" : "false";
    case Kind::integer:
    case Kind::real:
      return node.text.size() > 40 ? node.text.substr(0, 40) + "..." : node.text;
    case Kind::text:
      return "the string " + shown(node.text);
    case Kind::array:
      return "an array";
    case Kind::object:
      return "an object";
  }
  return {};
}

}  // namespace affuse
