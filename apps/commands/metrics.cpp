// Reads predictions from a CSV and measures them.
#include "apps/commands/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"
#include "fmt/format.h"

namespace affuse {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Indices of p_0..p_{K-1}; empty without any.
std::vector<int> probability_columns(const CsvTable& table) {
  std::vector<int> columns;
  for (int column; (column = table.find(fmt::format("p_{}", columns.size()))) >= 0;) {
    columns.push_back(column);
  }
  return columns;
}

/// A number, or NaN for an empty cell or a missing column.
double cell(const CsvTable& table, std::size_t row, int column) {
  return column < 0 || table.text(row, column).empty() ? kNone : table.number(row, column);
}

double annotated_cell(const CsvTable& table, std::size_t row, int column) {
  const double value = cell(table, row, column);
  if (value < -1 || value > 1) {
    throw DataError(fmt::format("{}: {} is outside [-1, 1]; leave an absent value empty",
                                table.place(row, column), value));
  }
  return value;
}

/// Class index, or -1 for an empty cell or a missing column; a name goes before a number.
int class_cell(const CsvTable& table, std::size_t row, int column, int classes,
               const std::vector<std::string>& names) {
  if (column < 0 || table.text(row, column).empty()) return -1;
  const std::string& text = table.text(row, column);
  const auto name = std::find(names.begin(), names.end(), text);
  if (name != names.end()) return static_cast<int>(name - names.begin());
  int value = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0 || value >= classes) {
    throw DataError(fmt::format("{}: needs to be a class in 0 to {}{}", table.place(row, column),
                                classes - 1, names.empty() ? "" : " or its name"));
  }
  return value;
}

/// Appends the row's K probabilities, all NaN where all cells are empty.
void append_probabilities(std::vector<double>& out, const CsvTable& table, std::size_t row,
                          const std::vector<int>& columns) {
  std::size_t given = 0;
  double sum = 0;
  for (const int column : columns) {
    const double p = cell(table, row, column);
    if (p < 0) {
      throw DataError(fmt::format("{}: {} is not a probability", table.place(row, column), p));
    }
    given += !std::isnan(p);
    sum += p;
    out.push_back(p);
  }
  if (given == 0) return;
  if (given < columns.size()) {
    throw DataError(fmt::format("{}: {} of {} probabilities are given; give all or none",
                                table.place(row, columns.front()), given, columns.size()));
  }
  if (!(std::abs(sum - 1) <= kProbabilitySumTolerance)) {
    throw DataError(fmt::format("{}: the class probabilities of the row sum to {:.6g}, not to 1",
                                table.place(row, columns.front()), sum));
  }
}

int number_of_classes(const CsvTable& table, std::size_t columns, int classes,
                      const std::vector<std::string>& names) {
  const auto check = [&](std::size_t wanted, const char* what) {
    if (columns == 0 || wanted == columns) return;
    throw DataError(fmt::format("{}:1: {} columns p_k, but {} has {} classes", table.name(),
                                columns, what, wanted));
  };
  if (classes > 0) check(static_cast<std::size_t>(classes), "--classes");
  if (!names.empty()) check(names.size(), "data.classes");
  if (columns > 0) return static_cast<int>(columns);
  if (!names.empty()) return static_cast<int>(names.size());
  return classes > 0 ? classes : std::numeric_limits<int>::max();
}

}  // namespace

Predictions read_predictions(const std::string& path, int classes,
                             const std::vector<std::string>& class_names) {
  const CsvTable table = CsvTable::read(path);
  const std::vector<int> columns = probability_columns(table);
  const int label = table.find("class"), valence = table.find("valence"),
            arousal = table.find("arousal"), pred_valence = table.find("pred_valence"),
            pred_arousal = table.find("pred_arousal");
  if (columns.empty() && pred_valence < 0 && pred_arousal < 0) {
    throw DataError(path +
                    ":1: no predictions; columns p_0.., pred_valence, pred_arousal hold them");
  }
  const int limit = number_of_classes(table, columns.size(), classes, class_names);
  Predictions out;
  out.classes = static_cast<int>(columns.size());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    out.labels.push_back(class_cell(table, row, label, limit, class_names));
    out.valence.push_back(annotated_cell(table, row, valence));
    out.arousal.push_back(annotated_cell(table, row, arousal));
    out.pred_valence.push_back(cell(table, row, pred_valence));
    out.pred_arousal.push_back(cell(table, row, pred_arousal));
    append_probabilities(out.probabilities, table, row, columns);
  }
  if (out.labels.empty()) throw DataError(path + ": no rows below the header line");
  return out;
}

std::string run_metrics(const MetricsOptions& options) {
  const Predictions predictions =
      read_predictions(options.predictions_csv, options.classes, options.class_names);
  MeasureOptions measure;
  measure.bins = options.bins;
  measure.temperature = options.temperature;
  const Measures measures = compute_measures(predictions, measure);
  std::string text = options.json ? to_json(measures, options.class_names).dump() + "\n"
                                  : to_text(measures, options.class_names);
  if (!options.out_file.empty()) write_file_atomic(options.out_file, std::string_view(text));
  return text;
}

}  // namespace affuse
