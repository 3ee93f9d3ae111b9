// .npy files: NumPy's own bytes, round trips, and everything that the reader must refuse.
#include "data/npy.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

using ByteVector = std::vector<std::uint8_t>;

/// A file with this header literal and this data.
ByteVector npy_file(std::string_view literal, const ByteVector& data, int major = 1) {
  ByteVector out = {0x93, 'N', 'U', 'M', 'P', 'Y', static_cast<std::uint8_t>(major), 0};
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i)
    out.push_back(static_cast<std::uint8_t>(literal.size() >> (8 * i)));
  out.insert(out.end(), literal.begin(), literal.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

std::string literal(std::string_view descr, std::string_view shape,
                    std::string_view order = "False") {
  return "{'descr': " + std::string(descr) + ", 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }   \n";
}

std::string refusal(const ByteVector& bytes) {
  try {
    parse_npy(bytes, "N_val.npy");
    return {};
  } catch (const DataError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("N_val.npy: ")) << e.what();
    return e.what();
  }
}

void expect_refused(const ByteVector& bytes, std::string_view reason) {
  const std::string message = refusal(bytes);
  EXPECT_NE(message.find(reason), std::string::npos) << "'" << message << "' lacks " << reason;
}

template <class T>
ByteVector bytes_of(std::initializer_list<T> values) {
  ByteVector out(values.size() * sizeof(T));
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

TEST(Npy, EveryTypeAndVersion) {
  struct Case {
    std::string descr;
    ByteVector data;
    double first, second;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"'<f4'", bytes_of<float>({.1f, -2}), double{.1f}, -2, "0.1"},
      {"'<f8'", bytes_of<double>({.1, 1e300}), .1, 1e300, "0.1"},
      {"'|i1'", bytes_of<std::int8_t>({-128, 127}), -128, 127, "-128"},
      {"'<i2'", bytes_of<std::int16_t>({-32768, 9}), -32768, 9, "-32768"},
      {"'<i4'", bytes_of<std::int32_t>({-7, 2147483647}), -7, 2147483647, "-7"},
      {"'<i8'", bytes_of<std::int64_t>({-7, 1LL << 52}), -7, 0x1p52, "-7"},
      {"'|u1'", {255, 1}, 255, 1, "255"},
      {"'>u1'", {255, 1}, 255, 1, "255"},
      {"'<u8'", bytes_of<std::uint64_t>({1ull << 63, 0}), 0x1p63, 0, "9223372036854775808"},
      {"'|b1'", {1, 0}, 1, 0, "1"},
      {"'|S4'", {'-', '.', '5', 0, '1', '2', '3', '4'}, -.5, 1234, "-.5"},
      {"\"<U2\"", bytes_of<std::uint32_t>({'7', 0, '4', '2'}), 7, 42, "7"},
  };
  for (const Case& c : cases) {
    for (const int version : {1, 2, 3}) {
      const NpyArray array = parse_npy(npy_file(literal(c.descr, "(2,)"), c.data, version), "x");
      EXPECT_EQ(array.count(), 2u);
      EXPECT_EQ(array.number(0), c.first) << c.descr;
      EXPECT_EQ(array.number(1), c.second) << c.descr;
      EXPECT_EQ(array.text(0), c.text) << c.descr;
      EXPECT_THROW(array.number(2), DataError);
      EXPECT_THROW(array.text(2), DataError);
      EXPECT_THROW(array.number(static_cast<std::size_t>(-1)), DataError);
    }
  }
}

TEST(Npy, BytesAsNumPyWritesThem) {
  // numpy.save of numpy.array('0.785714') with NumPy 1.24.
  const ByteVector file = npy_bytes(npy_string("0.785714"));
  std::string expected = "{'descr': '<U8', 'fortran_order': False, 'shape': (), }";
  expected += std::string(118 - expected.size() - 1, ' ') + "\n";
  ASSERT_EQ(file.size(), 128u + 32u);
  EXPECT_EQ(file[8], 118);
  EXPECT_EQ(std::string(file.begin() + 10, file.begin() + 128), expected);
  EXPECT_EQ(parse_npy(file, "x").number(), .785714);
  EXPECT_EQ(parse_npy(file, "x").text(), "0.785714");
}

TEST(Npy, RoundTripsOfEveryRank) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{12}, {3, 4}, {3, 2, 2}, {1, 12, 1, 1}}) {
    const NpyArray back = parse_npy(npy_bytes(npy_float(values, shape)), "x");
    EXPECT_EQ(back.shape, shape);
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(back.number(i), values[i]);
  }
  EXPECT_EQ(parse_npy(npy_bytes(npy_float(std::vector<float>{7}, {})), "x").number(), 7);
  EXPECT_EQ(parse_npy(npy_bytes(npy_float({}, {0, 5})), "x").count(), 0u);
  EXPECT_EQ(parse_npy(npy_bytes(npy_string("")), "x").text(), "");
  EXPECT_THROW(npy_float(values, {5}), Error);
  EXPECT_THROW(npy_string("\xC3\xA9"), Error);
}

TEST(Npy, StringsAreStrictNumbers) {
  for (const std::string good : {"0", "-0.5", "+1.25", "1e-3", ".5", "2."})
    EXPECT_EQ(npy_string(good).number(), std::stod(good)) << good;
  for (const std::string bad : {"", " 1", "1 ", "nan", "inf", "-inf", "1,5", "0x10", "1e999", "--1",
                                "+-1", "1.5.2", "one", "1\n"})
    EXPECT_THROW(npy_string(bad).number(), DataError) << bad;
  EXPECT_TRUE(std::isnan(
      npy_float(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}, {}).number()));
}

TEST(Npy, TextIsUtf8) {
  const auto text = [](std::uint32_t a, std::uint32_t b) {
    return parse_npy(npy_file(literal("'<U2'", "()"), bytes_of<std::uint32_t>({a, b})), "x").text();
  };
  EXPECT_EQ(text(0xE9, 0x20AC), "\xC3\xA9\xE2\x82\xAC");
  EXPECT_EQ(text(0x1F600, 'a'),
            "\xF0\x9F\x98\x80"
            "a");
  EXPECT_EQ(text(0x7F, 0x80), "\x7F\xC2\x80");
  EXPECT_EQ(text(0x7FF, 0x800), "\xDF\xBF\xE0\xA0\x80");
  EXPECT_EQ(text(0xFFFF, 0x10FFFF), "\xEF\xBF\xBF\xF4\x8F\xBF\xBF");
  for (const std::uint32_t bad : {0xD800u, 0xDFFFu, 0x110000u, 0xFFFFFFFFu})
    EXPECT_THROW(text('a', bad), DataError);
}

TEST(Npy, RefusesTypes) {
  for (const auto& [descr, reason] : {std::pair{"'|O'", "pickles"},
                                      {"'O'", "pickles"},
                                      {"[('x', '<f4')]", "structured"},
                                      {"'>f4'", "big-endian"},
                                      {"'>U1'", "big-endian"},
                                      {"'>i8'", "big-endian"},
                                      {"'<f2'", "'<f2' is not supported"},
                                      {"'<f16'", "not supported"},
                                      {"'<c8'", "not supported"},
                                      {"'|V4'", "not supported"},
                                      {"'<M8[ns]'", "not supported"},
                                      {"'<i3'", "not supported"},
                                      {"'<U0'", "not supported"},
                                      {"'|S'", "not supported"},
                                      {"'|i4'", "not supported"},
                                      {"'=f4'", "not supported"},
                                      {"'f4'", "not supported"},
                                      {"'<U99999999999999999999'", "not supported"},
                                      {"'<f04'", "not supported"},
                                      {"'<f-4'", "not supported"},
                                      {"'<f4 '", "not supported"},
                                      {"<f4", "a string expected"},
                                      {"'<f4", "not supported"},
                                      {"'<\\x664'", "plain character"}})
    expect_refused(npy_file(literal(descr, "()"), bytes_of<float>({1})), reason);
}

TEST(Npy, RefusesShapes) {
  const ByteVector data = bytes_of<float>({1, 2, 3, 4});
  ASSERT_EQ(refusal(npy_file(literal("'<f4'", "(4,)", "True"), data)), "");
  ASSERT_EQ(refusal(npy_file(literal("'<f4'", "(2, 2)"), data)), "");
  ASSERT_EQ(refusal(npy_file("{'shape':(2,2,),'descr':'<f4','fortran_order':False}", data)), "");
  for (const auto& [shape, reason] :
       {std::pair{"(4)", "not a tuple"},
        {"(-4,)", "a dimension"},
        {"(04,)", "leading zeros"},
        {"(4L,)", "',' expected"},
        {"(2 2)", "',' expected"},
        {"(,)", "a dimension"},
        {"(4.0,)", "expected"},
        {"(3,)", "asks for 12 bytes of data, 16 are there"},
        {"(5,)", "asks for 20 bytes"},
        {"()", "asks for 4 bytes"},
        {"(0, 4)", "asks for 0 bytes"},
        {"(9223372036854775808,)", "smaller dimension"},
        {"[4]", "expected"},
        {"(4611686018427387905,)", "too large"},
        {"(4294967296, 4294967297)", "too large"},
        {"(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4)", "dimensions"}})
    expect_refused(npy_file(literal("'<f4'", shape), data), reason);
  expect_refused(npy_file(literal("'<f4'", "(2, 2)", "True"), data), "Fortran");
  expect_refused(npy_file(literal("'<f4'", "(4,)", "1"), data), "True or False");
}

TEST(Npy, RefusesHeaders) {
  const ByteVector one = bytes_of<float>({1});
  const std::string d = "'descr': '<f4'", f = "'fortran_order': False", s = "'shape': ()";
  ASSERT_EQ(refusal(npy_file("{" + d + "," + f + "," + s + "}", one)), "");
  for (const auto& [text, reason] : std::vector<std::pair<std::string, std::string>>{
           {"", "'{' expected"},
           {"{}", "lacks"},
           {"{" + d + "," + f + "}", "lacks"},
           {"{" + d + "," + d + "," + f + "," + s + "}", "twice"},
           {"{" + d + "," + f + "," + s + ",'x': 1}", "unknown header key 'x'"},
           {"{" + d + " " + f + "," + s + "}", "',' or '}'"},
           {"{,}", "a string"},
           {"{" + d + "," + f + "," + s + "} + 1", "the end"},
           {"{" + d + "," + f + "," + s + "}" + std::string(1, '\0'), "the end"},
           {"{" + d + "," + f + "," + s, "',' or '}'"}})
    expect_refused(npy_file(text, one), reason);
  for (const int major : {0, 4, 255}) {
    ByteVector file = npy_file(literal("'<f4'", "()"), one);
    file[6] = static_cast<std::uint8_t>(major);
    expect_refused(file, "version");
  }
  expect_refused({}, "empty");
  expect_refused({'h', 'i', 0, 0, 0, 0, 0, 0, 0, 0, 0}, "does not start");
}

TEST(Npy, TruncationsAndFlippedBits) {
  Philox random(77, Purpose::test);
  const NpyArray ints{'i', 2, {2, 3}, bytes_of<std::int16_t>({1, 2, 3, 4, 5, 6})};
  for (const ByteVector& file : {npy_bytes(npy_string("-0.25")), npy_bytes(ints)}) {
    for (std::size_t n = 0; n < file.size(); ++n)
      ASSERT_NE(refusal({file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n)}), "") << n;
    ByteVector longer = file;
    longer.push_back(0);
    expect_refused(longer, "bytes of data");
    for (int trial = 0; trial < 5000; ++trial) {
      ByteVector bad = file;
      for (std::uint32_t flips = 1 + random.below(4); flips > 0; --flips)
        bad[random.below(static_cast<std::uint32_t>(bad.size()))] ^=
            static_cast<std::uint8_t>(1u << random.below(8));
      try {
        const NpyArray array = parse_npy(bad, "x");
        ASSERT_EQ(array.count() * array.item_size, array.bytes.size());
        for (std::size_t i = 0; i < array.count(); ++i) array.number(i);
      } catch (const DataError& e) {
        ASSERT_NE(std::string(e.what()), "");
      }
    }
  }
}

}  // namespace
}  // namespace affuse
