// Text in JSON and in messages.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace affuse {

/// Bytes of the UTF-8 sequence at the start of `text` (not empty), 0 if it is not valid.
std::size_t utf8_length(std::string_view text);

/// ASCII control characters, DEL included.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

/// Whether `text` is UTF-8 without control characters: what a JSON string here may hold.
bool is_plain_text(std::string_view text);

/// `text` as a JSON string literal.
std::string json_quoted(std::string_view text);

/// A real as the shortest JSON number that reads back to the same bits, always with a fraction or
/// an exponent.
std::string json_real(double value);

/// A user's bytes for a message: quoted, one line, UTF-8, at most `limit` bytes.
std::string shown(std::string_view text, std::size_t limit = 60);

}  // namespace affuse
