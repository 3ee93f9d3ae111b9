// Checkpoints: exact round trips, the predecessor, and damage that must not go unnoticed.
#include "weights/checkpoint.h"

#include <bit>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <stdlib.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> warnings;
void record(LogLevel level, std::string_view line) {
  if (level == LogLevel::warning) warnings.emplace_back(line);
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "affuse_checkpoint_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    last = (folder / "last.safetensors").string();
    prev = (folder / "prev.safetensors").string();
    warnings.clear();
    before = set_log_sink(record);
  }
  void TearDown() override {
    set_log_sink(before);
    fs::remove_all(folder);
  }

  /// The error of reading last, then prev.
  std::string error() const {
    try {
      read_checkpoint(last, prev);
    } catch (const WeightsError& e) {
      return e.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }

  fs::path folder;
  std::string last, prev;
  LogSink before = nullptr;
};

Checkpoint checkpoint_of(int step) {
  Philox random(1, Purpose::test, static_cast<std::uint32_t>(step));
  Checkpoint c;
  Tensor& weight = c.tensors["parameters/conv1.weight"];
  weight.shape = {4, 3, 3};
  for (int i = 0; i < 36; ++i) weight.values.push_back(static_cast<float>(random.normal()));
  c.tensors["adam/m"] = {{0}, {}, {}, false};
  c.tensors["step"] = {{2}, {}, {step, -(std::int64_t{1} << 60)}, true};
  c.metadata = {{"state", R"({"step":)" + std::to_string(step) + "}"}, {"note", "ü\n"}};
  return c;
}

void expect_equal(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.tensors, b.tensors);
  EXPECT_EQ(a.metadata, b.metadata);
}

void write_raw(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  write_file_atomic(path, std::span<const std::uint8_t>(bytes));
}

TEST_F(CheckpointTest, RoundTripsAndKeepsThePrevious) {
  write_checkpoint(last, prev, checkpoint_of(1));
  EXPECT_FALSE(fs::exists(prev));
  expect_equal(read_checkpoint(last, prev), checkpoint_of(1));
  write_checkpoint(last, prev, checkpoint_of(2));
  write_checkpoint(last, prev, checkpoint_of(3));
  expect_equal(read_checkpoint(last, prev), checkpoint_of(3));
  expect_equal(read_checkpoint(prev), checkpoint_of(2));
  EXPECT_TRUE(warnings.empty());
  const auto bytes = read_file(last);
  write_checkpoint(last, prev, read_checkpoint(last));
  EXPECT_EQ(read_file(last), bytes) << "the same checkpoint must give the same bytes";
}

TEST_F(CheckpointTest, KeepsEveryBitOfAFloat) {
  Checkpoint c;
  const std::vector<std::uint32_t> bits{0x7FC12345, 0xFF800000, 0x80000000, 0x00000001, 0x7F7FFFFF};
  for (const auto b : bits) c.tensors["t"].values.push_back(std::bit_cast<float>(b));
  c.tensors["t"].shape = {5};
  write_checkpoint(last, prev, c);
  const Tensor t = read_checkpoint(last).tensors.at("t");
  for (std::size_t i = 0; i < bits.size(); ++i)
    EXPECT_EQ(std::bit_cast<std::uint32_t>(t.values[i]), bits[i]);
}

TEST_F(CheckpointTest, TheChecksumKeyIsReserved) {
  Checkpoint c = checkpoint_of(1);
  c.metadata[checksum_key] = "mine";
  write_checkpoint(last, prev, c);
  expect_equal(read_checkpoint(last), checkpoint_of(1));
}

TEST_F(CheckpointTest, AMissingOneFallsBack) {
  EXPECT_EQ(error(), "no usable checkpoint: " + last +
                         ": cannot be opened: No such file or directory; " + prev +
                         ": cannot be opened: No such file or directory");
  write_checkpoint(prev, {}, checkpoint_of(1));
  expect_equal(read_checkpoint(last, prev), checkpoint_of(1));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0],
            last + ": cannot be opened: No such file or directory; going on from " + prev);
}

TEST_F(CheckpointTest, ALeftoverTemporaryDoesNoHarm) {
  write_checkpoint(last, prev, checkpoint_of(1));
  write_raw(last + ".tmp", {1, 2, 3});
  expect_equal(read_checkpoint(last, prev), checkpoint_of(1));
  write_checkpoint(last, prev, checkpoint_of(2));
  expect_equal(read_checkpoint(last, prev), checkpoint_of(2));
  EXPECT_FALSE(fs::exists(last + ".tmp"));
}

TEST_F(CheckpointTest, ATruncatedOneFallsBack) {
  write_checkpoint(last, prev, checkpoint_of(1));
  write_checkpoint(last, prev, checkpoint_of(2));
  const auto whole = read_file(last);
  std::size_t rounds = 0;
  for (std::size_t size = 0; size < whole.size(); size += size < 16 ? 1 : 29, ++rounds) {
    fs::resize_file(last, size);
    expect_equal(read_checkpoint(last, prev), checkpoint_of(1));
    write_raw(last, whole);
  }
  EXPECT_EQ(warnings.size(), rounds);
  expect_equal(read_checkpoint(last, prev), checkpoint_of(2));
}

// Every seventh bit, so each place in a byte: the flip is refused, or what is read is the same (a
// space of the padding and the like). Metadata and names count as much as the tensors.
TEST_F(CheckpointTest, NoFlippedBitChangesWhatIsRead) {
  write_checkpoint(last, prev, checkpoint_of(1));
  const Checkpoint expected = checkpoint_of(1);
  auto bytes = read_file(last);
  const std::string copy = (folder / "copy").string();
  const auto flip_and_read = [&](std::size_t bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    {
      // In place: thousands of fsyncs would take minutes on a disk.
      const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(copy.c_str(), "wb"),
                                                                 std::fclose);
      ASSERT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file.get()), bytes.size());
    }
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    try {
      expect_equal(read_checkpoint(copy), expected);
    } catch (const WeightsError& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with(copy + ": ")) << e.what();
    }
  };
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 7) flip_and_read(bit);
}

TEST_F(CheckpointTest, DamageIsNamed) {
  write_checkpoint(last, prev, checkpoint_of(1));
  auto bytes = read_file(last);
  bytes.back() ^= 1;
  write_raw(last, bytes);
  const std::string message = error();
  EXPECT_TRUE(
      message.starts_with("no usable checkpoint: " + last + ": is damaged: its checksum is "))
      << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  write_weights(last, checkpoint_of(1));
  EXPECT_TRUE(error().starts_with("no usable checkpoint: " + last +
                                  ": has no checksum; is it a checkpoint?"));
}

}  // namespace
}  // namespace affuse
