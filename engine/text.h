// Users' text in one-line messages.
#pragma once
#include <string>
#include <string_view>

namespace affuse {

/// `text` in single quotes, control characters replaced by '?', cut after 120 bytes at a UTF-8
/// boundary.
std::string in_quotes(std::string_view text);

/// `text` with its control characters replaced by '?'.
std::string one_line(std::string text);

}  // namespace affuse
