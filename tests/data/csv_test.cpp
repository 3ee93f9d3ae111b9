// CSV tables: RFC 4180 as users' programs write it, and errors that name file, line and column.
#include "data/csv.h"

#include <filesystem>
#include <fstream>

#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

using Row = std::vector<std::string>;
using std::string_view_literals::operator""sv;

Row row_of(const CsvTable& table, std::size_t row) {
  Row out;
  for (int c = 0; c < static_cast<int>(table.header().size()); ++c)
    out.push_back(table.text(row, c));
  return out;
}

void expect_refused(std::string_view text, std::string_view message) {
  try {
    CsvTable::parse(text, "t.csv");
    ADD_FAILURE() << "accepted: " << text;
  } catch (const DataError& e) {
    EXPECT_EQ(std::string(e.what()).substr(0, message.size()), message);
  }
}

TEST(Csv, PlainTable) {
  for (const std::string_view end : {"\n"sv, "\r\n"sv}) {
    for (const std::string_view tail : {""sv, end, "\n\n"sv, "\r\n\r\n"sv}) {
      for (const std::string_view bom : {""sv, "\xEF\xBB\xBF"sv}) {
        std::string text(bom);
        text.append("path,class").append(end).append("a.jpg,3").append(end).append(",");
        const CsvTable table = CsvTable::parse(text.append(tail), "t.csv");
        EXPECT_EQ(table.header(), (Row{"path", "class"}));
        ASSERT_EQ(table.rows(), 2u);
        EXPECT_EQ(row_of(table, 0), (Row{"a.jpg", "3"}));
        EXPECT_EQ(row_of(table, 1), (Row{"", ""}));
        EXPECT_EQ(table.line_of(1), 3u);
      }
    }
  }
}

TEST(Csv, QuotesAndPhysicalLines) {
  const CsvTable table =
      CsvTable::parse("\"a\",\"b,\"\"b\"\"\"\r\n\"x\ny\r\nz\",\"\"\n\n\n"sv, "t.csv");
  EXPECT_EQ(table.header(), (Row{"a", "b,\"b\""}));
  ASSERT_EQ(table.rows(), 1u);
  EXPECT_EQ(row_of(table, 0), (Row{"x\ny\r\nz", ""}));
  const CsvTable lines = CsvTable::parse("a,b\n\"1\n2\n3\",4\n5,\"6\"\n\"\",7", "t.csv");
  ASSERT_EQ(lines.rows(), 3u);
  EXPECT_EQ(lines.line_of(0), 2u);
  EXPECT_EQ(lines.line_of(1), 5u);
  EXPECT_EQ(lines.line_of(2), 6u);
  EXPECT_EQ(lines.place(1, 1), "t.csv:5: b");
}

TEST(Csv, OneColumnKeepsEmptyRowsExceptAtTheEnd) {
  const CsvTable table = CsvTable::parse("a\n\n1\n\n\n", "t.csv");
  ASSERT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.text(0, 0), "");
  EXPECT_EQ(table.line_of(1), 3u);
}

TEST(Csv, HeaderAlone) { EXPECT_EQ(CsvTable::parse("a,b", "t.csv").rows(), 0u); }

TEST(Csv, RefusesWithThePlace) {
  expect_refused("", "t.csv:1: no header line");
  expect_refused("\n\n", "t.csv:1: no header line");
  expect_refused("\xEF\xBB\xBF", "t.csv:1: no header line");
  expect_refused("a,b\n1,2\n1\n", "t.csv:3: the row has 1 fields, the header has 2");
  expect_refused("a,b\n\"1\n\",2\n1,2,3\n", "t.csv:4: the row has 3 fields, the header has 2");
  expect_refused("a,b\n1,2\n\n1,2\n", "t.csv:3: the row has 1 fields");
  expect_refused("a,\n1,2\n", "t.csv:1: column 2 has no name");
  expect_refused("a,b,a\n", "t.csv:1: column 'a' stands twice");
  expect_refused("a\n1\n\"2\n3\n", "t.csv:3: a quote is opened here and never closed");
  expect_refused("a,b\n1,2\"\n", "t.csv:2: a quote inside an unquoted field");
  expect_refused("a,b\n\"1\"x,2\n", "t.csv:2: text after a closing quote");
  expect_refused("a,b\n1\r2,3\n", "t.csv:2: a carriage return");
  expect_refused("a,b\n1,\0002\n"sv, "t.csv:2: a NUL byte");
  expect_refused("a,b\n1,\"\0\"\n"sv, "t.csv:2: a NUL byte");
  expect_refused(
      "\xFF\xFE"
      "a\0"sv,
      "t.csv:1: the text is UTF-16");
}

TEST(Csv, ColumnsAndNumbers) {
  const CsvTable table = CsvTable::parse("path,valence\na,-0.5\nb,\nc,nan\nd, 1\ne,1e400", "t.csv");
  EXPECT_EQ(table.find("valence"), 1);
  EXPECT_EQ(table.find("Valence"), -1);
  EXPECT_EQ(table.require("path"), 0);
  EXPECT_EQ(table.number(0, 1), -.5);
  for (std::size_t row = 1; row < 5; ++row) EXPECT_THROW(table.number(row, 1), DataError);
  try {
    table.number(2, 1);
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(), "t.csv:4: valence: \"nan\" is not a finite number");
  }
  try {
    table.require("arousal");
    ADD_FAILURE();
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(), "t.csv:1: no column 'arousal' in the header; it has 'path', 'valence'");
  }
  EXPECT_THROW(table.text(5, 0), DataError);
  EXPECT_THROW(table.text(0, 2), DataError);
  EXPECT_THROW(table.text(0, -1), DataError);
}

TEST(Csv, FieldsRoundTrip) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
  Philox random(1, Purpose::test);
  constexpr std::string_view kAlphabet = "ab,\"\r\n \xC3\xA9;";
  std::string text = "p,q,r\n";
  std::vector<Row> rows;
  for (int r = 0; r < 200; ++r) {
    rows.emplace_back();
    for (int c = 0; c < 3; ++c) {
      std::string field;
      for (std::uint32_t n = random.below(8); n > 0; --n)
        field += kAlphabet[random.below(static_cast<std::uint32_t>(kAlphabet.size()))];
      text += csv_field(field) + (c == 2 ? "\r\n" : ",");
      rows.back().push_back(field);
    }
  }
  const CsvTable table = CsvTable::parse(text, "t.csv");
  ASSERT_EQ(table.rows(), rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) EXPECT_EQ(row_of(table, r), rows[r]);
}

TEST(Csv, TruncationsAndFlippedBits) {
  const std::string file =
      "path,class,valence\r\n\"a \"\"b\"\",\nc.jpg\",Happy,0.5\r\nd.png,3,-1\r\n";
  Philox random(9, Purpose::test);
  const auto parse = [](std::string_view text) {
    try {
      const CsvTable table = CsvTable::parse(text, "t.csv");
      for (std::size_t r = 0; r < table.rows(); ++r)
        EXPECT_EQ(row_of(table, r).size(), table.header().size());
    } catch (const DataError& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("t.csv:")) << e.what();
    }
  };
  for (std::size_t n = 0; n <= file.size(); ++n) parse(std::string_view(file).substr(0, n));
  for (int trial = 0; trial < 5000; ++trial) {
    std::string bad = file;
    for (std::uint32_t flips = 1 + random.below(5); flips > 0; --flips)
      bad[random.below(static_cast<std::uint32_t>(bad.size()))] ^=
          static_cast<char>(1u << random.below(8));
    parse(bad);
  }
}

TEST(Csv, ReadsAFile) {
  const std::string path = testing::TempDir() + "affuse_csv_test.csv";
  std::ofstream(path) << "a\n1\n";
  EXPECT_EQ(CsvTable::read(path).number(0, 0), 1);
  EXPECT_EQ(CsvTable::read(path).name(), path);
  std::filesystem::remove(path);
  EXPECT_THROW(CsvTable::read(path), DataError);
}

}  // namespace
}  // namespace affuse
