// Edit distances for suggestions.
#include "apps/config/nearest.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace affuse {
namespace {

constexpr std::size_t kLongest = 64;  // nobody mistypes a longer word

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }
std::string_view parent(std::string_view path) {
  return path.substr(0, path.size() - last_part(path).size());
}

/// Slips that a word of that length may have.
int allowed(std::string_view word) { return std::max(1, static_cast<int>(word.size() + 1) / 3); }

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest_word(std::string_view typed, const std::vector<std::string>& words) {
  if (typed.size() > kLongest) return {};
  const std::string word = lower(typed);
  int best = allowed(word) + 1;
  std::string found;
  for (const std::string& candidate : words) {
    const int distance = edit_distance(word, lower(candidate));
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string nearest_path(std::string_view typed, const std::vector<std::string>& paths) {
  if (typed.size() > kLongest) return {};
  const std::string path = lower(typed);
  const std::string_view leaf = last_part(path);
  if (leaf.size() < 2) return {};  // every other letter would be near
  int best = std::numeric_limits<int>::max();
  std::string found;
  for (const std::string& candidate : paths) {
    // A whole path may be slightly wrong; a last part may also stand in the wrong section, which
    // costs one so that the section that was typed comes first.
    const int whole = edit_distance(path, candidate);
    const int part = edit_distance(leaf, last_part(candidate));
    const int elsewhere = parent(path) == parent(candidate) ? 0 : 1;
    int score = std::numeric_limits<int>::max();
    if (whole <= allowed(leaf)) score = whole;
    if (part <= allowed(leaf)) score = std::min(score, part + elsewhere);
    if (score < best) {
      best = score;
      found = candidate;
    }
  }
  return found;
}

}  // namespace affuse
