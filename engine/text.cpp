#include "engine/text.h"

#include <utility>

namespace affuse {

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 120;
  std::string out(text.substr(0, longest));
  // A cut may not leave half a UTF-8 sequence: drop its continuation bytes and its first one.
  if (text.size() > longest) {
    while (!out.empty() && (out.back() & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && (out.back() & 0x80) != 0) out.pop_back();
    out += "...";
  }
  return "'" + one_line(std::move(out)) + "'";
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

}  // namespace affuse
