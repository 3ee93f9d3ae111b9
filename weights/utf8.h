// Whether text is UTF-8.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace affuse {

/// The place of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7: no
/// overlong forms, no surrogates, nothing above U+10FFFF); nothing if there is none.
std::optional<std::size_t> invalid_utf8(std::string_view text);

}  // namespace affuse
