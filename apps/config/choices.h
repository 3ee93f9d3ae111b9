// Enumerations of the configuration and the names they carry in JSON.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace affuse {

/// An enumeration with a `choice_names` overload (found by argument-dependent lookup): one name an
/// enumerator, in order.
template <class E>
concept Choice = requires(E e) {
  choice_names(e);
};

/// The name that `e` carries in JSON and on the command line.
template <Choice E>
constexpr std::string_view name_of(E e) {
  return choice_names(e)[static_cast<std::size_t>(e)];
}

}  // namespace affuse
