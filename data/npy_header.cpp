// Parser of the one Python literal that a .npy header may be (numpy.lib.format).
#include "data/npy_header.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse {
namespace {

constexpr std::size_t kMaxRank = 32, kMaxItemBytes = std::size_t{1} << 30;

[[noreturn]] void fail(const std::string& name, std::string_view reason) {
  throw DataError(fmt::format("{}: bad .npy file: {}", name, reason));
}

/// A cursor over the literal.
class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!take('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr") {
        once(descr, key);
        type(header);
      } else if (key == "fortran_order") {
        once(order, key);
        header.fortran_order = boolean();
      } else if (key == "shape") {
        once(shape, key);
        header.shape = tuple();
      } else {
        fail(name_, fmt::format("unknown header key '{}'", key));
      }
      if (!take(',') && peek() != '}') wrong("',' or '}'");
    }
    if (peek() != 0 || at_ != text_.size()) wrong("the end");
    if (!descr || !order || !shape) fail(name_, "the header lacks descr, fortran_order or shape");
    return header;
  }

 private:
  /// The next character after white space, or 0 at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void wrong(std::string_view wanted) const {
    fail(name_, fmt::format("{} expected at character {} of the header", wanted, at_));
  }
  void expect(char c) {
    if (!take(c)) wrong(fmt::format("'{}'", c));
  }
  void once(bool& seen, std::string_view key) {
    if (seen) fail(name_, fmt::format("header key '{}' stands twice", key));
    seen = true;
  }

  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') wrong("a string");
    const std::size_t start = ++at_;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] < ' ' || text_[at_] > '~' || text_[at_] == '\\') wrong("a plain character");
      ++at_;
    }
    if (at_ == text_.size()) wrong("a closing quote");
    return text_.substr(start, at_++ - start);
  }

  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    wrong("True or False");
  }

  std::int64_t integer() {
    peek();
    std::int64_t value = 0;
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    const auto [stop, status] = std::from_chars(begin, end, value);
    if (status == std::errc::result_out_of_range) wrong("a smaller dimension");
    if (status != std::errc() || value < 0 || *begin == '-') wrong("a dimension");
    if (*begin == '0' && stop - begin > 1) wrong("a dimension without leading zeros");
    at_ += static_cast<std::size_t>(stop - begin);
    return value;
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> shape;
    expect('(');
    bool comma = true;
    while (!take(')')) {
      if (!comma) wrong("','");
      if (shape.size() == kMaxRank) fail(name_, fmt::format("more than {} dimensions", kMaxRank));
      shape.push_back(integer());
      comma = take(',');
    }
    // (3) is an integer in parentheses, not a tuple.
    if (shape.size() == 1 && !comma) fail(name_, "shape is not a tuple");
    return shape;
  }

  void type(NpyHeader& header) {
    if (peek() == '[') fail(name_, "structured arrays are not supported; save plain columns");
    const std::string_view descr = string();
    if (descr == "|O" || descr == "O")
      fail(name_, "object arrays hold Python pickles; save with a numeric or string dtype");
    if (descr.size() < 3) unsupported(descr);
    const char order = descr[0];
    header.kind = descr[1];
    std::size_t size = 0;
    const char* end = descr.data() + descr.size();
    const auto [stop, status] = std::from_chars(descr.data() + 2, end, size);
    if (status != std::errc() || stop != end || descr[2] == '0' || size > kMaxItemBytes ||
        !known(header.kind, size))
      unsupported(descr);
    const bool single = header.kind == 'S' || (size == 1 && header.kind != 'U');
    if (order == '>' && !single)
      fail(name_, fmt::format("big-endian type '{}'; save as little-endian", descr));
    if (order != '<' && order != '>' && !(order == '|' && single)) unsupported(descr);
    header.item_size = header.kind == 'U' ? size * 4 : size;
  }

  static bool known(char kind, std::size_t size) {
    switch (kind) {
      case 'f':
        return size == 4 || size == 8;
      case 'i':
      case 'u':
        return size == 1 || size == 2 || size == 4 || size == 8;
      case 'b':
        return size == 1;
      default:
        return kind == 'U' || kind == 'S';
    }
  }

  [[noreturn]] void unsupported(std::string_view descr) const {
    fail(name_,
         fmt::format("type '{}' is not supported (f4, f8, i1-i8, u1-u8, b1, U, S are)", descr));
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view literal, const std::string& name) {
  return Parser(literal, name).parse();
}

}  // namespace affuse
