// Documents made from the table of commands.
#pragma once
#include <string>

namespace affuse {

/// docs/commands.md: the reference page.
std::string commands_reference();

/// A script that teaches Bash the commands, options, keys and values (`complete -F`).
std::string bash_completion();

}  // namespace affuse
