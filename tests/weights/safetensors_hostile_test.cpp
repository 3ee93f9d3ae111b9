// Hostile safetensors files: each is refused for its own reason; none is read out of bounds.
#include <cstring>
#include <set>
#include <string>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"
#include "weights/safetensors.h"
#include "weights/utf8.h"

namespace affuse {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// A file of a header, its length, and `data` zero bytes.
Bytes file_of(const std::string& header, std::size_t data = 0) {
  Bytes file(8 + header.size() + data, 0);
  const std::uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

/// The reason for which a file is refused; empty if it is accepted.
std::string refusal(const Bytes& file) {
  try {
    SafetensorsFile::parse(file, "f");
  } catch (const WeightsError& error) {
    return error.what();
  }
  return {};
}

/// One tensor 't' with the members given.
std::string tensor(const std::string& members) { return "{\"t\":{" + members + "}}"; }

std::string f32(const std::string& shape, const std::string& offsets) {
  return R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets;
}

struct Case {
  std::string header;
  std::size_t data;
  std::string reason;  ///< The whole message after "f: ".
};

const std::string ints = "must hold only non-negative integers, not ";

const std::vector<Case>& cases() {
  static const std::vector<Case> table{
      // The frame.
      {"", 0, "header: does not start with '{'"},
      {"[]", 0, "header: does not start with '{'"},
      {" {}", 0, "header: does not start with '{'"},
      {"\xEF\xBB\xBF{}", 0, "header: does not start with '{'"},
      {"{}\n", 0, "header: does not end in '}' and spaces"},
      {std::string("{}\0", 3), 0, "header: does not end in '}' and spaces"},
      {"{", 0, "header: does not end in '}' and spaces"},
      {"{}  {}", 0, "header: not valid JSON at byte 12 of the file"},
      {"{\"a\"}", 0, "header: not valid JSON at byte 12 of the file"},
      {"{\"\\q\":{}}", 0, "header: not valid JSON at byte 11 of the file"},
      {"{\"\\ud800\":{}}", 0, "header: not valid JSON at byte 16 of the file"},
      {"{\"a\xFF\":{}}", 0, "header: not UTF-8 at byte 11 of the file"},
      {"{\"\xED\xA0\x80\":{}}", 0, "header: not UTF-8 at byte 10 of the file"},
      {"{/**/}", 0, "header: not valid JSON at byte 9 of the file"},
      {"{\"t\":{}}", 3, "tensor 't': has no dtype"},
      // Metadata.
      {R"({"__metadata__":"x"})", 0, "__metadata__: must be an object, not a string"},
      {R"({"__metadata__":[]})", 0, "__metadata__: must be an object, not a list"},
      {R"({"__metadata__":{"a":1}})", 0,
       "__metadata__: the value of 'a' must be a string, not a number"},
      {R"({"__metadata__":{"a":null}})", 0,
       "__metadata__: the value of 'a' must be a string, not null"},
      {R"({"__metadata__":{"a":{"b":"c"}}})", 0,
       "__metadata__: the value of 'a' must be a string, not an object"},
      {R"({"__metadata__":{"a":["c"]}})", 0,
       "__metadata__: the value of 'a' must be a string, not a list"},
      {R"({"__metadata__":{"a":"1","a":"1"}})", 0, "__metadata__: duplicate key 'a'"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "header: duplicate key '__metadata__'"},
      // Entries.
      {R"({"t":1})", 0, "tensor 't': must be an object, not a number"},
      {R"({"t":[1]})", 0, "tensor 't': must be an object, not a list"},
      {"{\"t\":{" + f32("[0]", "[0,0]") + "},\"t\":{" + f32("[0]", "[0,0]") + "}}", 0,
       "header: duplicate key 't'"},
      {"{\"t\":{" + f32("[0]", "[0,0]") + "},\"\\u0074\":{" + f32("[0]", "[0,0]") + "}}", 0,
       "header: duplicate key 't'"},
      {tensor(R"("dtype":"F32","data_offsets":[0,4])"), 4, "tensor 't': has no shape"},
      {tensor(R"("dtype":"F32","shape":[1])"), 4, "tensor 't': has no data_offsets"},
      {tensor(f32("[1]", "[0,4]") + R"(,"device":"cuda")"), 4, "tensor 't': unknown key 'device'"},
      {tensor(f32("[1]", "[0,4]") + R"(,"dtype":"F32")"), 4, "tensor 't': duplicate key 'dtype'"},
      {tensor(f32("[1]", "[0,4]") + R"(,"shape":[1])"), 4, "tensor 't': duplicate key 'shape'"},
      {tensor(f32("[1]", "[0,4]") + R"(,"data_offsets":[0,4])"), 4,
       "tensor 't': duplicate key 'data_offsets'"},
      {tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), 4,
       "tensor 't': unknown dtype 'F31'"},
      {tensor(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])"), 4,
       "tensor 't': unknown dtype 'f32'"},
      {tensor(R"("dtype":1)"), 4, "tensor 't': dtype must be a string, not a number"},
      {tensor(R"("dtype":["F32"])"), 4, "tensor 't': dtype must be a string, not a list"},
      // Numbers.
      {tensor(f32("1", "[0,4]")), 4,
       "tensor 't': shape must be a list of non-negative integers, not a number"},
      {tensor(f32("{}", "[0,4]")), 4,
       "tensor 't': shape must be a list of non-negative integers, not an object"},
      {tensor(f32("\"1\"", "[0,4]")), 4,
       "tensor 't': shape must be a list of non-negative integers, not a string"},
      {tensor(f32("[-1]", "[0,4]")), 4, "tensor 't': shape " + ints + "a negative number"},
      {tensor(f32("[-0]", "[0,0]")), 0, "tensor 't': shape " + ints + "a negative number"},
      {tensor(f32("[1.0]", "[0,4]")), 4,
       "tensor 't': shape " + ints + "a number that is not an integer"},
      {tensor(f32("[1e0]", "[0,4]")), 4,
       "tensor 't': shape " + ints + "a number that is not an integer"},
      {tensor(f32("[true]", "[0,4]")), 4, "tensor 't': shape " + ints + "a boolean"},
      {tensor(f32("[null]", "[0,4]")), 4, "tensor 't': shape " + ints + "null"},
      {tensor(f32("[\"1\"]", "[0,4]")), 4, "tensor 't': shape " + ints + "a string"},
      {tensor(f32("[[1]]", "[0,4]")), 4, "tensor 't': shape " + ints + "a list"},
      {tensor(f32("[{}]", "[0,4]")), 4, "tensor 't': shape " + ints + "an object"},
      {tensor(f32("[18446744073709551616]", "[0,4]")), 4,
       "tensor 't': shape " + ints + "a number beyond 64 bits"},
      {tensor(f32("[18446744073709551615]", "[0,4]")), 4,
       "tensor 't': shape: 18446744073709551615 does not fit in 64 signed bits"},
      {tensor(f32("[4294967296,4294967296]", "[0,4]")), 4,
       "tensor 't': shape [4294967296,4294967296] overflows"},
      {tensor(f32("[9223372036854775807]", "[0,4]")), 4,
       "tensor 't': shape [9223372036854775807] overflows"},
      {tensor(f32("[9223372036854775807,2,0]", "[0,0]")), 0,
       "tensor 't': shape [9223372036854775807,2,0] overflows"},
      {tensor(f32("[1]", "[0,-4]")), 4, "tensor 't': data_offsets " + ints + "a negative number"},
      {tensor(f32("[1]", "[0,4.0]")), 4,
       "tensor 't': data_offsets " + ints + "a number that is not an integer"},
      {tensor(f32("[1]", "[0]")), 4, "tensor 't': data_offsets has 1 numbers, expected 2"},
      {tensor(f32("[1]", "[0,4,8]")), 4, "tensor 't': data_offsets has 3 numbers, expected 2"},
      {tensor(f32("[1]", "null")), 4,
       "tensor 't': data_offsets must be a list of non-negative integers, not null"},
      // Places.
      {tensor(f32("[1]", "[4,0]")), 4, "tensor 't': data_offsets [4,0] end before they begin"},
      {tensor(f32("[1]", "[0,4]")), 3,
       "tensor 't': data_offsets [0,4] lie outside the 3 bytes of data"},
      {tensor(f32("[1]", "[18446744073709551612,18446744073709551615]")), 4,
       "tensor 't': data_offsets [18446744073709551612,18446744073709551615] lie outside the 4 "
       "bytes of data"},
      {tensor(f32("[2]", "[0,4]")), 4,
       "tensor 't': data_offsets [0,4] hold 4 bytes, but F32 [2] needs 8"},
      {tensor(f32("[]", "[0,0]")), 0,
       "tensor 't': data_offsets [0,0] hold 0 bytes, but F32 [] needs 4"},
      {tensor(f32("[0]", "[0,4]")), 4,
       "tensor 't': data_offsets [0,4] hold 4 bytes, but F32 [0] needs 0"},
      {tensor(f32("[1]", "[4,8]")), 8,
       "tensor 't': starts at byte 4 of the data, leaving a hole from byte 0"},
      {tensor(f32("[1]", "[0,4]")), 5, "the tensors end at byte 4 of 5 bytes of data"},
      {"{}", 1, "the tensors end at byte 0 of 1 bytes of data"},
      {"{\"a\":{" + f32("[1]", "[0,4]") + "},\"b\":{" + f32("[1]", "[8,12]") + "}}", 12,
       "tensor 'b': starts at byte 8 of the data, leaving a hole from byte 4"},
      {"{\"a\":{" + f32("[2]", "[0,8]") + "},\"b\":{" + f32("[1]", "[4,8]") + "}}", 8,
       "tensor 'b': starts at byte 4 of the data and overlaps another tensor up to byte 8"},
      {"{\"a\":{" + f32("[1]", "[0,4]") + "},\"b\":{" + f32("[1]", "[0,4]") + "}}", 4,
       "tensor 'b': starts at byte 0 of the data and overlaps another tensor up to byte 4"},
      {"{\"a\":{" + f32("[2]", "[0,8]") + "},\"z\":{" + f32("[0]", "[4,4]") + "}}", 8,
       "tensor 'z': starts at byte 4 of the data and overlaps another tensor up to byte 8"},
  };
  return table;
}

TEST(SafetensorsHostile, EachFileIsRefusedForItsReason) {
  std::set<std::string> reasons;
  for (const Case& c : cases()) {
    EXPECT_EQ(refusal(file_of(c.header, c.data)), "f: " + c.reason) << c.header;
    reasons.insert(c.reason);
  }
  EXPECT_GE(cases().size(), 60u);
  EXPECT_GE(reasons.size(), 50u);
}

TEST(SafetensorsHostile, LengthsThatLie) {
  for (std::size_t size = 0; size < 8; ++size)
    EXPECT_EQ(refusal(Bytes(size, 0)),
              fmt::format("f: is {} bytes long, too short for a safetensors file", size));
  const auto with_length = [](std::uint64_t length) {
    Bytes file = file_of("{}");
    std::memcpy(file.data(), &length, 8);
    return refusal(file);
  };
  EXPECT_EQ(with_length(2), "");
  EXPECT_EQ(with_length(0), "f: header: does not start with '{'");
  EXPECT_EQ(with_length(3),
            "f: header length 3 reaches past the end of the file of 10 bytes; is it truncated?");
  EXPECT_EQ(
      with_length(100'000'000),
      "f: header length 100000000 reaches past the end of the file of 10 bytes; is it truncated?");
  for (const std::uint64_t length :
       {std::uint64_t{100'000'001}, ~std::uint64_t{0}, std::uint64_t{1} << 63})
    EXPECT_EQ(
        with_length(length),
        fmt::format("f: header length {} is above 100000000; is this a safetensors file?", length));
}

TEST(SafetensorsHostile, DeepAndWideHeaders) {
  const std::string deep(200'000, '[');
  EXPECT_EQ(refusal(file_of("{\"t\":{\"shape\":" + deep + "}}")),
            "f: tensor 't': shape " + ints + "a list");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"t\":";
  EXPECT_EQ(refusal(file_of(objects + "}")), "f: tensor 't': unknown key 't'");
  std::string ones = "[1";
  for (int i = 1; i < 64; ++i) ones += ",1";
  EXPECT_EQ(refusal(file_of(tensor(f32(ones + "]", "[0,4]")), 4)), "");
  EXPECT_EQ(refusal(file_of(tensor(f32(ones + ",1]", "[0,4]")), 4)),
            "f: tensor 't': shape has more than 64 numbers");
}

TEST(SafetensorsHostile, AnErrorIsOneShortLineOfText) {
  const std::string line = refusal(file_of(R"({"a\nb\u0000\u007f":1})"));
  EXPECT_EQ(line,
            "f: tensor 'a?b?"
            "?': must be an object, not a number");
  for (std::size_t lead = 0; lead < 3; ++lead) {
    std::string name(lead, 'x');
    for (int i = 0; i < 100'000; ++i) name += "€";
    const std::string message = refusal(file_of("{\"" + name + "\":1}"));
    EXPECT_LT(message.size(), 200u);
    EXPECT_FALSE(invalid_utf8(message)) << message;
  }
}

TEST(SafetensorsHostile, LegalFilesThatLookOdd) {
  EXPECT_EQ(refusal(file_of("{}")), "");
  EXPECT_EQ(refusal(file_of("{}     ")), "");
  EXPECT_EQ(refusal(file_of("{\n\t\"t\" : {" + f32("[]", "[0,4]") + "}\r\n}  ", 4)), "");
  EXPECT_EQ(refusal(file_of(R"({"__metadata__":{"":""},"":{)" + f32("[0,9]", "[0,0]") + "}}")), "");
  // Any order, data at an odd address, zero-sized tensors at every seam.
  const Bytes odd = file_of("{\"b\":{" + f32("[1]", "[4,8]") + "},\"z\":{" + f32("[0]", "[4,4]") +
                                "},\"y\":{" + f32("[0]", "[0,0]") + "},\"a\":{" +
                                f32("[1]", "[0,4]") + "},\"x\":{" + f32("[2,0]", "[8,8]") + "}} ",
                            8);
  const SafetensorsFile file = SafetensorsFile::parse(odd, "f");
  std::string order;
  for (const auto& entry : file.entries()) order += entry.name;
  EXPECT_EQ(order, "yazbx");
  EXPECT_EQ(file.floats("b"), std::vector<float>{0});
}

Bytes small_file() {
  Bytes file =
      file_of(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}   )",
              16);
  for (std::size_t i = 0; i < 16; ++i) file[file.size() - 1 - i] = static_cast<std::uint8_t>(i);
  return file;
}

TEST(SafetensorsHostile, TruncationAtEveryByte) {
  const Bytes file = small_file();
  ASSERT_EQ(refusal(file), "");
  for (std::size_t size = 0; size < file.size(); ++size)
    // A vector of exactly this size, so that AddressSanitizer sees a read beyond it.
    EXPECT_NE(refusal(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))), "")
        << size;
}

TEST(SafetensorsHostile, BitFlipsNeverReadOutside) {
  const Bytes file = small_file();
  const std::size_t header_end = file.size() - 16;
  Philox random(1, Purpose::test);
  int refused = 0;
  const int rounds = 20'000;
  for (int round = 0; round < rounds; ++round) {
    Bytes bad = file;
    const std::uint32_t flips = 1 + random.below(3);
    for (std::uint32_t i = 0; i < flips; ++i)
      bad[random.below(static_cast<std::uint32_t>(header_end))] ^=
          static_cast<std::uint8_t>(1u << random.below(8));
    try {
      const SafetensorsFile parsed = SafetensorsFile::parse(bad, "f");
      std::size_t total = 0;
      for (const auto& entry : parsed.entries()) {
        total += entry.bytes.size();
        if (!entry.dtype.starts_with("F8")) parsed.floats(entry.name);
      }
      EXPECT_EQ(total, 16u);
    } catch (const WeightsError& error) {
      ++refused;
      const std::string line = error.what();
      EXPECT_TRUE(line.starts_with("f: ")) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    }
  }
  // Flips inside names, the metadata and between dtypes of one size make other legal files.
  EXPECT_GT(refused, rounds * 8 / 10);
  EXPECT_LT(refused, rounds);
}

TEST(SafetensorsHostile, FilesThatAreNone) {
  const auto message = [](const std::string& path) {
    try {
      SafetensorsFile::open(path);
    } catch (const WeightsError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string folder = testing::TempDir();
  EXPECT_EQ(message(folder + "affuse-none"),
            folder + "affuse-none: cannot be opened: No such file or directory");
  EXPECT_EQ(message(folder), folder + ": is a folder, not a file");
  EXPECT_EQ(message("/dev/null"), "/dev/null: is not a regular file");
}

TEST(Utf8, FindsTheFirstBadByte) {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                           "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a€😀"})
    EXPECT_FALSE(invalid_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xE2\x82",
        "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_EQ(invalid_utf8(bad), 0u) << bad;
    EXPECT_EQ(invalid_utf8(std::string("a€") + bad + "b"), 4u) << bad;
  }
}

}  // namespace
}  // namespace affuse
