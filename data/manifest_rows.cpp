// Columns of a csv manifest: classes by number or name, ranges, soft labels, sides.
#include "data/manifest_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "data/csv.h"
#include "data/manifest.h"
#include "engine/error.h"
#include "engine/log.h"
#include "engine/text.h"

namespace affuse {
namespace {

/// Without names the classes are the numbers in the file; a typing error must not make millions.
constexpr int kMaxNumberedClasses = 1000;
constexpr double kSumTolerance = 1e-3;
constexpr std::size_t kMaxPathBytes = 4096;  // Linux opens no longer one

struct Columns {
  int path, label, valence, arousal, subject, split;
  std::vector<int> soft;  // columns of p_0..p_{K-1}, or empty
};

[[noreturn]] void fail(const CsvTable& table, std::size_t row, int column,
                       const std::string& reason) {
  throw DataError(table.place(row, column) + ": " + reason);
}

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

/// k of a column named p_k, or nothing.
std::optional<int> soft_index(std::string_view name) {
  if (!name.starts_with("p_")) return {};
  const auto k = whole_number(name.substr(2));
  return k && *k >= 0 && std::to_string(*k) == name.substr(2) ? k : std::nullopt;
}

/// Columns p_0..p_{K-1} in order of k; a hole or one too many is an error.
std::vector<int> find_soft_columns(const CsvTable& table, std::size_t classes) {
  std::size_t found = 0;
  for (const std::string& name : table.header()) found += soft_index(name).has_value();
  if (found == 0) return {};
  const std::size_t wanted = classes != 0 ? classes : found;
  std::vector<int> columns(wanted);
  for (std::size_t k = 0; k < wanted; ++k) {
    columns[k] = table.find("p_" + std::to_string(k));
    if (columns[k] < 0 || found != wanted) {
      throw DataError(fmt::format("{}:1: {} columns p_k found, p_0..p_{} are needed for {} classes",
                                  table.name(), found, wanted - 1, wanted));
    }
  }
  return columns;
}

Columns find_columns(const CsvTable& table, std::size_t classes) {
  Columns c{table.require("path"),
            table.require("class"),
            table.require("valence"),
            table.require("arousal"),
            table.find("subject"),
            table.find("split"),
            find_soft_columns(table, classes)};
  for (int i = 0; i < static_cast<int>(table.header().size()); ++i) {
    const bool used = i == c.path || i == c.label || i == c.valence || i == c.arousal ||
                      i == c.subject || i == c.split || std::ranges::count(c.soft, i) > 0;
    if (used) continue;
    log_warning(fmt::format("{}:1: column {} is not used", table.name(),
                            in_quotes(table.header()[static_cast<std::size_t>(i)])));
  }
  return c;
}

std::string path_at(const CsvTable& table, std::size_t row, int column) {
  const std::string& text = table.text(row, column);
  if (text.empty()) fail(table, row, column, "is empty; name the image");
  if (text.size() > kMaxPathBytes) {
    fail(table, row, column,
         fmt::format("is {} bytes long; a path has at most {}", text.size(), kMaxPathBytes));
  }
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (std::ranges::any_of(text, control)) {
    fail(table, row, column, in_quotes(text) + " holds a control character");
  }
  return text;
}

/// Class index, or -1 for an empty cell. A name goes before a number.
int class_at(const CsvTable& table, std::size_t row, int column,
             const std::vector<std::string>& classes, int limit) {
  const std::string& text = table.text(row, column);
  if (text.empty()) return -1;
  if (const auto name = std::ranges::find(classes, text); name != classes.end()) {
    return static_cast<int>(name - classes.begin());
  }
  const auto number = whole_number(text);
  if (!number) {
    const std::string names =
        classes.empty() ? "a whole number" : fmt::format("one of {}", fmt::join(classes, ", "));
    fail(table, row, column, fmt::format("{} is no class; write {}", in_quotes(text), names));
  }
  if (*number < 0 || *number >= limit) {
    fail(table, row, column, fmt::format("class {} is outside 0..{}", *number, limit - 1));
  }
  return *number;
}

/// Valence or arousal in [-1, 1], NaN for an empty cell.
double affect_at(const CsvTable& table, std::size_t row, int column) {
  if (table.text(row, column).empty()) return std::numeric_limits<double>::quiet_NaN();
  const double value = table.number(row, column);
  if (value < -1 || value > 1) {
    fail(table, row, column,
         fmt::format("{} is outside [-1, 1]; leave an absent value empty", value));
  }
  return value;
}

/// The given distribution of a row; empty when all of its cells are.
std::vector<float> soft_at(const CsvTable& table, std::size_t row,
                           const std::vector<int>& columns) {
  const auto is_empty = [&](int column) { return table.text(row, column).empty(); };
  if (std::ranges::all_of(columns, is_empty)) return {};
  std::vector<float> soft;
  double sum = 0;
  for (const int column : columns) {
    if (is_empty(column)) fail(table, row, column, "is empty, but other p_k of the row are not");
    const double p = table.number(row, column);
    if (p < 0 || p > 1 + kSumTolerance) {
      fail(table, row, column, fmt::format("{} is no probability", p));
    }
    sum += p;
    soft.push_back(static_cast<float>(p));
  }
  if (std::abs(sum - 1) > kSumTolerance) {
    fail(table, row, columns.front(), fmt::format("the row's p_k sum to {:.6g}, not 1", sum));
  }
  return soft;
}

Side side_at(const CsvTable& table, std::size_t row, int column) {
  const std::string& text = table.text(row, column);
  if (text == "train") return Side::train;
  if (text == "val" || text == "validation" || text == "valid") return Side::val;
  if (text == "test") return Side::test;
  fail(table, row, column, in_quotes(text) + " is none of train, val, test");
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// A path twice may be meant (a rare class repeated) or a slip, so the user is told.
void warn_of_repeats(const CsvTable& table, int column) {
  std::unordered_map<std::string_view, std::size_t> first;
  std::size_t repeats = 0, row = 0, before = 0;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const auto [found, fresh] = first.try_emplace(table.text(r, column), r);
    if (fresh || repeats++ > 0) continue;
    row = r;
    before = found->second;
  }
  if (repeats == 0) return;
  log_warning(
      fmt::format("{}: {} stands on line {} already; rows that repeat a path: {}, each a "
                  "sample of its own",
                  table.place(row, column), in_quotes(table.text(row, column)),
                  table.line_of(before), repeats));
}

/// Names 0..K-1, K one above the largest label found.
std::vector<std::string> numbered_classes(const Manifest& manifest, std::size_t soft_classes) {
  int count = static_cast<int>(soft_classes);
  for (const Sample& s : manifest.samples) count = std::max(count, s.label + 1);
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (int k = 0; k < count; ++k) names.push_back(std::to_string(k));
  return names;
}

}  // namespace

ManifestRows read_manifest_rows(const std::string& path, std::vector<std::string> classes,
                                std::string root) {
  const CsvTable table = CsvTable::read(path);
  const Columns columns = find_columns(table, classes.size());
  int limit = classes.empty() ? kMaxNumberedClasses : static_cast<int>(classes.size());
  if (classes.empty() && !columns.soft.empty()) limit = static_cast<int>(columns.soft.size());

  ManifestRows rows;
  rows.has_subjects = columns.subject >= 0;
  rows.manifest.root = root.empty() ? folder_of(path) : std::move(root);
  rows.manifest.samples.reserve(table.rows());
  for (std::size_t r = 0; r < table.rows(); ++r) {
    Sample s;
    s.path = path_at(table, r, columns.path);
    s.label = class_at(table, r, columns.label, classes, limit);
    s.valence = affect_at(table, r, columns.valence);
    s.arousal = affect_at(table, r, columns.arousal);
    if (columns.subject >= 0) s.subject = table.text(r, columns.subject);
    if (!columns.soft.empty()) s.soft = soft_at(table, r, columns.soft);
    if (columns.split >= 0) rows.sides.push_back(side_at(table, r, columns.split));
    rows.lines.push_back(table.line_of(r));
    rows.manifest.samples.push_back(std::move(s));
  }
  warn_of_repeats(table, columns.path);
  rows.manifest.classes =
      classes.empty() ? numbered_classes(rows.manifest, columns.soft.size()) : std::move(classes);
  return rows;
}

}  // namespace affuse
