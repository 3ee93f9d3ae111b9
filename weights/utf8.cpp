// Well-formed UTF-8 by table 3-7 of the Unicode standard.
#include "weights/utf8.h"

namespace affuse {
namespace {

/// Length of the sequence that `lead` starts (0: none) and the range of its second byte.
struct Form {
  std::size_t length;
  unsigned char low = 0x80, high = 0xBF;
};

Form form_of(unsigned char lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

}  // namespace

std::optional<std::size_t> invalid_utf8(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const Form form = form_of(byte(i));
    if (form.length == 0 || form.length > text.size() - i) return i;
    for (std::size_t k = 1; k < form.length; ++k) {
      const unsigned char low = k == 1 ? form.low : 0x80, high = k == 1 ? form.high : 0xBF;
      if (byte(i + k) < low || byte(i + k) > high) return i;
    }
    i += form.length;
  }
  return std::nullopt;
}

}  // namespace affuse
