// safetensors written and read: round trips, layout, conversions, and Python as a second reader.
#include "weights/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <stdlib.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;
using Shape64 = std::vector<std::int64_t>;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "affuse_safetensors_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string path(const std::string& name) const { return (folder / name).string(); }

  fs::path folder;
};

template <class E, class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::uint64_t header_length(const std::vector<std::uint8_t>& file) {
  std::uint64_t length;
  std::memcpy(&length, file.data(), 8);
  return length;
}

const char* const all_dtypes[] = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3", "I16", "U16", "F16",
                                  "BF16", "I32", "U32", "F32",     "F64",     "I64", "U64"};

TEST_F(SafetensorsTest, RoundTripsEveryDtypeAndShape) {
  const Shape64 shapes[] = {{}, {0}, {3, 0, 2}, {1}, {5}, {2, 3, 1, 7}};
  Philox random(1, Purpose::test);
  std::vector<std::vector<std::uint8_t>> storage;
  std::vector<SafetensorsEntry> tensors;
  for (const char* dtype : all_dtypes)
    for (const Shape64& shape : shapes) {
      auto& bytes = storage.emplace_back(*safetensors_bytes(dtype, shape));
      for (auto& b : bytes) b = static_cast<std::uint8_t>(random.bits());
      tensors.push_back({fmt::format("{}.{}", dtype, shape_text(shape)), dtype, shape, {}});
    }
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].bytes = storage[i];
  const Metadata metadata{{"classes", R"(["neutral","happy"])"}, {"", ""}, {"ü\n\"", "\\\t€😀"}};
  write_safetensors(path("f"), tensors, metadata);
  const SafetensorsFile file = SafetensorsFile::open(path("f"));
  EXPECT_EQ(file.metadata(), metadata);
  ASSERT_EQ(file.entries().size(), tensors.size());
  for (const SafetensorsEntry& tensor : tensors) {
    const SafetensorsEntry* entry = file.find(tensor.name);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->dtype, tensor.dtype);
    EXPECT_EQ(entry->shape, tensor.shape);
    EXPECT_TRUE(std::ranges::equal(entry->bytes, tensor.bytes)) << tensor.name;
  }
  EXPECT_EQ(file.find("none"), nullptr);
}

TEST_F(SafetensorsTest, OrdersAndAligns) {
  const std::vector<std::uint8_t> bytes(64, 1);
  const std::span<const std::uint8_t> all(bytes);
  std::vector<SafetensorsEntry> tensors{{"z", "U8", {3}, all.first(3)},
                                        {"b", "F32", {2}, all.first(8)},
                                        {"a", "F16", {1}, all.first(2)},
                                        {"a2", "F32", {1}, all.first(4)},
                                        {"c", "I64", {}, all.first(8)}};
  for (const auto alignment : {SafetensorsAlignment::word, SafetensorsAlignment::page}) {
    for (int name_length = 1; name_length < 12; ++name_length) {
      tensors[0].name = std::string(static_cast<std::size_t>(name_length), 'z');
      write_safetensors(path("f"), tensors, {}, alignment);
      EXPECT_EQ((8 + header_length(read_file(path("f")))) % static_cast<std::size_t>(alignment),
                0u);
    }
    std::string order;
    const SafetensorsFile file = SafetensorsFile::open(path("f"));
    for (const auto& entry : file.entries()) order += entry.name.substr(0, 2) + " ";
    EXPECT_EQ(order, "c a2 b a zz ");
  }
  std::ranges::reverse(tensors);
  const auto before = read_file(path("f"));
  write_safetensors(path("f"), tensors, {}, SafetensorsAlignment::page);
  EXPECT_EQ(read_file(path("f")), before) << "the order given must not matter";
}

TEST_F(SafetensorsTest, WriterRefuses) {
  const std::vector<std::uint8_t> bytes(8, 0);
  const auto message = [&](std::vector<SafetensorsEntry> tensors, const Metadata& metadata = {}) {
    return error_of<WeightsError>([&] { write_safetensors(path("f"), tensors, metadata); });
  };
  EXPECT_EQ(message({{"t", "F32", {3}, bytes}}),
            path("f") + ": tensor 't': F32 [3] needs 12 bytes, got 8");
  EXPECT_TRUE(has(message({{"t", "F31", {2}, bytes}}), "cannot be written as 'F31' [2]"));
  EXPECT_TRUE(has(message({{"t", "F32", {-2}, bytes}}), "cannot be written as 'F32' [-2]"));
  EXPECT_TRUE(has(message({{"t", "F64", {1LL << 60, 1}, bytes}}), "cannot be written as 'F64'"));
  EXPECT_TRUE(has(message({{"t", "F32", {2}, bytes}, {"t", "F64", {1}, bytes}}), "used twice"));
  EXPECT_TRUE(has(message({{"__metadata__", "F32", {2}, bytes}}), "reserved"));
  EXPECT_TRUE(has(message({{"\xFF", "F32", {2}, bytes}}), "not UTF-8"));
  EXPECT_TRUE(has(message({}, {{"key", "\xC3"}}), "not UTF-8"));
  EXPECT_TRUE(has(message({}, {{"key", std::string(100'000'001, 'x')}}), "above 100000000 bytes"));
  EXPECT_TRUE(fs::is_empty(folder)) << "nothing may be written";
}

template <class T>
SafetensorsFile parsed(std::vector<std::uint8_t>& storage, const char* dtype,
                       const std::vector<T>& values) {
  const SafetensorsEntry entry{
      "t", dtype, {static_cast<std::int64_t>(values.size())}, bytes_of(values)};
  const std::string header = safetensors_header({&entry, 1}, {});
  storage.assign(header.begin(), header.end());
  storage.insert(storage.end(), entry.bytes.begin(), entry.bytes.end());
  return SafetensorsFile::parse(storage, "memory");
}

TEST_F(SafetensorsTest, ConvertsToFloat) {
  std::vector<std::uint8_t> s;
  using Floats = std::vector<float>;
  const float inf = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(parsed<float>(s, "F32", {1.5f, -0.f, inf}).floats("t"), (Floats{1.5f, -0.f, inf}));
  // The last two straddle the midpoint between float's largest number and 2^128.
  EXPECT_EQ(parsed<double>(s, "F64", {0.1, -1e300, 1e-300, 0x1.fffffefp+127, -0x1.ffffffp+127})
                .floats("t"),
            (Floats{0.1f, -inf, 0.f, largest, -inf}));
  EXPECT_TRUE(std::isnan(parsed<double>(s, "F64", {std::nan("")}).floats("t")[0]));
  EXPECT_EQ(parsed<std::uint16_t>(s, "BF16", {0x3FC0, 0xFF80, 0x8000}).floats("t"),
            (Floats{1.5f, -inf, -0.f}));
  EXPECT_EQ(parsed<std::int64_t>(s, "I64", {-3, 1LL << 40}).floats("t"), (Floats{-3.f, 0x1p40f}));
  EXPECT_EQ(parsed<std::uint64_t>(s, "U64", {~0ULL}).floats("t"), (Floats{0x1p64f}));
  EXPECT_EQ(parsed<std::int32_t>(s, "I32", {-7}).floats("t"), (Floats{-7.f}));
  EXPECT_EQ(parsed<std::uint32_t>(s, "U32", {1u << 31}).floats("t"), (Floats{0x1p31f}));
  EXPECT_EQ(parsed<std::int16_t>(s, "I16", {-300}).floats("t"), (Floats{-300.f}));
  EXPECT_EQ(parsed<std::uint16_t>(s, "U16", {65535}).floats("t"), (Floats{65535.f}));
  EXPECT_EQ(parsed<std::int8_t>(s, "I8", {-128}).floats("t"), (Floats{-128.f}));
  EXPECT_EQ(parsed<std::uint8_t>(s, "U8", {255}).floats("t"), (Floats{255.f}));
  EXPECT_EQ(parsed<std::uint8_t>(s, "BOOL", {0, 1}).floats("t"), (Floats{0.f, 1.f}));
  EXPECT_EQ(error_of<WeightsError>([&] { parsed<std::uint8_t>(s, "F8_E4M3", {1}).floats("t"); }),
            "memory: tensor 't': F8_E4M3 is not supported; convert it to F32 or BF16");
  EXPECT_EQ(error_of<WeightsError>([&] { parsed<float>(s, "F32", {1}).floats("u"); }),
            "memory: has no tensor 'u'");
}

TEST_F(SafetensorsTest, ConvertsEveryHalf) {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  std::vector<std::uint8_t> s;
  const std::vector<float> values = parsed(s, "F16", bits).floats("t");
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10) & 31, mantissa = static_cast<int>(i & 1023);
    double expected =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) expected = mantissa == 0 ? std::numeric_limits<double>::infinity() : NAN;
    if (i >= 32768) expected = -expected;
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[i])) << i;
    } else {
      ASSERT_EQ(values[i], expected) << i;
      ASSERT_EQ(std::signbit(values[i]), i >= 32768) << i;
    }
  }
}

TEST_F(SafetensorsTest, ConvertsToIntegers) {
  std::vector<std::uint8_t> s;
  EXPECT_EQ(parsed<std::int8_t>(s, "I8", {-1, 5}).integers("t"),
            (std::vector<std::int64_t>{-1, 5}));
  EXPECT_EQ(parsed<std::int64_t>(s, "I64", {INT64_MIN}).integers("t")[0], INT64_MIN);
  EXPECT_EQ(
      error_of<WeightsError>([&] { parsed<std::uint64_t>(s, "U64", {1ULL << 63}).integers("t"); }),
      "memory: tensor 't': 9223372036854775808 does not fit in 64 signed bits");
  EXPECT_EQ(error_of<WeightsError>([&] { parsed<float>(s, "F32", {1}).integers("t"); }),
            "memory: tensor 't': is F32, expected integers");
}

TEST_F(SafetensorsTest, AMappedFileOutlivesItsReplacement) {
  const std::vector<float> one{1, 2}, two{3, 4};
  write_safetensors(path("f"), {{"t", "F32", {2}, bytes_of(one)}}, {});
  const SafetensorsFile first = SafetensorsFile::open(path("f"));
  const SafetensorsFile copy = first;
  write_safetensors(path("f"), {{"t", "F32", {2}, bytes_of(two)}}, {}, SafetensorsAlignment::word,
                    path("prev"));
  EXPECT_EQ(copy.floats("t"), one);
  EXPECT_EQ(SafetensorsFile::open(path("f")).floats("t"), two);
  EXPECT_EQ(SafetensorsFile::open(path("prev")).floats("t"), one);
}

/// What a command prints.
std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"),
                                                             ::pclose);
  std::string text;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe.get()))
    text.append(buffer, n);
  return text;
}

// Only struct and json: a reader that shares no line with ours.
TEST_F(SafetensorsTest, PythonReadsTheSameValues) {
  const std::string script = R"(import json, struct, sys
raw = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', raw[:8])
head, data = json.loads(raw[8:8 + n]), raw[8 + n:]
print(json.dumps(head.pop('__metadata__'), sort_keys=True))
for name in sorted(head):
    t = head[name]
    code = {'F32': 'f', 'F64': 'd', 'I64': 'q', 'U8': 'B', 'F16': 'e'}[t['dtype']]
    a, b = t['data_offsets']
    x = struct.unpack('<%d%s' % ((b - a) // struct.calcsize(code), code), data[a:b])
    print(name, t['dtype'], t['shape'], ' '.join('%.9g' % v for v in x))
)";
  write_file_atomic(path("read.py"), script);
  Philox random(2, Purpose::test);
  std::vector<float> weights(2 * 3 * 3);
  for (float& w : weights) w = static_cast<float>(random.normal());
  const std::vector<double> doubles{0.1, -2.5e-9};
  const std::vector<std::int64_t> counter{-12345678901};
  const std::vector<std::uint8_t> pixels{0, 128, 255};
  const std::vector<std::uint16_t> halves{0x3C01, 0x0001, 0xFBFF};
  write_safetensors(path("f"),
                    {{"conv1.weight", "F32", {2, 3, 3}, bytes_of(weights)},
                     {"d", "F64", {2}, bytes_of(doubles)},
                     {"bn1.num_batches_tracked", "I64", {}, bytes_of(counter)},
                     {"pixels", "U8", {3, 1}, bytes_of(pixels)},
                     {"halves", "F16", {3}, bytes_of(halves)},
                     {"none", "F32", {0, 4}, {}}},
                    {{"mean", "[0.5]"}, {"a\"b", "\\ü\n"}});
  std::string expected = R"({"a\"b": "\\\u00fc\n", "mean": "[0.5]"})"
                         "\n";
  expected += "bn1.num_batches_tracked I64 [] -1.23456789e+10\n";
  expected += "conv1.weight F32 [2, 3, 3]";
  for (const float w : weights) expected += fmt::format(" {:.9g}", w);
  expected += "\nd F64 [2] 0.1 -2.5e-09\nhalves F16 [3] 1.00097656 5.96046448e-08 -65504\n";
  expected += "none F32 [0, 4] \npixels U8 [3, 1] 0 128 255\n";
  EXPECT_EQ(output_of("/usr/bin/python3 '" + path("read.py") + "' '" + path("f") + "' 2>&1"),
            expected);
}

}  // namespace
}  // namespace affuse
