// RFC 4180 tables: a one-pass parser into row-major cells.
#include "data/csv.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "data/number.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/text.h"

namespace affuse {
namespace {

/// Splits text into records and counts physical lines.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& name) : text_(text), name_(name) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    if (text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF"))
      fail("the text is UTF-16; save it as UTF-8");
    end_ = text_.find_last_not_of("\r\n") + 1;  // npos + 1 is 0
  }

  /// True when only line ends are left.
  bool at_end() const { return at_ >= end_; }

  /// Appends the fields of the next record to `cells`; returns their number. line() is then the
  /// line where the record starts.
  std::size_t record(std::vector<std::string>& cells) {
    record_line_ = line_;
    std::size_t fields = 0;
    do {
      cells.push_back(peek() == '"' ? quoted() : plain());
      ++fields;
    } while (separator());
    return fields;
  }

  std::size_t line() const { return record_line_; }

  [[noreturn]] void fail(std::string_view reason) const { fail(reason, line_); }
  [[noreturn]] void fail(std::string_view reason, std::size_t line) const {
    throw DataError(fmt::format("{}:{}: {}", name_, line, reason));
  }

 private:
  /// The next character; NUL at the end (a NUL in the text is an error of its own).
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  std::string plain() {
    const std::size_t start = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ',' || c == '\n' || c == '\r') break;
      if (c == '"') fail("a quote inside an unquoted field; quote the field and double the quote");
      if (c == '\0') fail("a NUL byte; this is not a text file");
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  std::string quoted() {
    const std::size_t open_line = line_;
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\0') fail("a NUL byte; this is not a text file");
      if (c == '\n') ++line_;
      if (c == '"') {
        ++at_;
        if (peek() != '"') return out;
      }
      out += c;
    }
    line_ = open_line;
    fail("a quote is opened here and never closed");
  }

  /// Consumes what ends a field: true at a comma, false at the end of the record.
  bool separator() {
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    if (c == ',') return true;
    if (c == '\r' && peek() == '\n')
      ++at_;
    else if (c == '\r')
      fail("a carriage return without a line feed");
    else if (c != '\n')
      fail("text after a closing quote");
    ++line_;
    return false;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0, end_ = 0, line_ = 1, record_line_ = 1;
};

}  // namespace

CsvTable CsvTable::parse(std::string_view text, std::string name) {
  CsvTable table;
  table.name_ = std::move(name);
  CsvReader reader(text, table.name_);
  if (reader.at_end()) reader.fail("no header line");
  const std::size_t columns = reader.record(table.header_);
  for (std::size_t i = 0; i < columns; ++i) {
    const std::string& column = table.header_[i];
    if (column.empty())
      reader.fail(fmt::format("column {} has no name in the header", i + 1), reader.line());
    if (table.find(column) != static_cast<int>(i))
      reader.fail(fmt::format("column {} stands twice in the header", in_quotes(column)),
                  reader.line());
  }
  while (!reader.at_end()) {
    const std::size_t fields = reader.record(table.cells_);
    if (fields != columns)
      reader.fail(fmt::format("the row has {} fields, the header has {}", fields, columns),
                  reader.line());
    table.lines_.push_back(reader.line());
  }
  return table;
}

CsvTable CsvTable::read(const std::string& path) { return parse(read_text(path), path); }

int CsvTable::find(std::string_view column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  return found == header_.end() ? -1 : static_cast<int>(found - header_.begin());
}

int CsvTable::require(std::string_view column) const {
  const int found = find(column);
  if (found >= 0) return found;
  constexpr std::size_t most = 16;
  std::string there;
  for (std::size_t i = 0; i < std::min(most, header_.size()); ++i)
    there += (i == 0 ? "" : ", ") + in_quotes(header_[i]);
  if (header_.size() > most) there += fmt::format(" and {} more", header_.size() - most);
  const bool other = header_.size() == 1 && header_[0].find_first_of(";\t") != std::string::npos;
  throw DataError(fmt::format("{}:1: no column '{}' in the header; {} {}", name_, column,
                              other ? "separate columns with commas, not as in" : "it has", there));
}

const std::string& CsvTable::text(std::size_t row, int column) const {
  if (row >= rows() || column < 0 || static_cast<std::size_t>(column) >= header_.size())
    throw DataError(fmt::format("{}: no cell at row {}, column {}", name_, row, column));
  return cells_[row * header_.size() + static_cast<std::size_t>(column)];
}

double CsvTable::number(std::size_t row, int column) const {
  const std::string& found = text(row, column);
  if (const auto value = parse_finite(found)) return *value;
  throw DataError(fmt::format("{}: {:?} is not a finite number", place(row, column),
                              std::string_view(found).substr(0, 40)));
}

std::string CsvTable::place(std::size_t row, int column) const {
  text(row, column);
  return fmt::format("{}:{}: {}", name_, lines_[row], header_[static_cast<std::size_t>(column)]);
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

}  // namespace affuse
