// RFC 4180 tables: quoting, CRLF, a UTF-8 BOM. Every error names file, row and column.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace affuse {

/// A table in memory. Row r (from 0) stands on file line `line_of(r)`.
class CsvTable {
 public:
  /// Parses text; the first record is the header. Throws DataError (ragged rows, open quotes, NUL
  /// bytes, a duplicate or empty header name, no header).
  static CsvTable parse(std::string_view text, std::string name);
  static CsvTable read(const std::string& path);

  const std::string& name() const { return name_; }
  const std::vector<std::string>& header() const { return header_; }
  std::size_t rows() const { return lines_.size(); }
  std::size_t line_of(std::size_t row) const { return lines_[row]; }

  /// Index of a column, or -1.
  int find(std::string_view column) const;
  /// Index of a column; throws DataError naming the columns that are there.
  int require(std::string_view column) const;

  const std::string& text(std::size_t row, int column) const;
  /// A finite number; throws DataError naming file, line, column and the text found.
  double number(std::size_t row, int column) const;
  /// "FILE:LINE: COLUMN" for messages.
  std::string place(std::size_t row, int column) const;

 private:
  std::string name_;
  std::vector<std::string> header_;
  std::vector<std::string> cells_;  // row-major
  std::vector<std::size_t> lines_;
};

/// A field as RFC 4180 wants it: quoted only where needed.
std::string csv_field(std::string_view text);

}  // namespace affuse
