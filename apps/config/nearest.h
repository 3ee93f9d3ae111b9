// The known word nearest to a mistyped one.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace affuse {

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
int edit_distance(std::string_view a, std::string_view b);

/// The word nearest to `typed` (letter case ignored), or empty if none is near.
std::string nearest_word(std::string_view typed, const std::vector<std::string>& words);

/// The dotted path nearest to `typed`, over full paths and over last parts ("optimizer.alpha" ->
/// "fusion.alpha"), or empty if none is near.
std::string nearest_path(std::string_view typed, const std::vector<std::string>& paths);

}  // namespace affuse
