// Whole-file reading and atomic writing: contents, and every failure that can be provoked.
#include "engine/file.h"

#include <csignal>
#include <filesystem>
#include <numeric>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/crc32c.h"
#include "engine/error.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

/// A fresh folder for each test.
class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "affuse_file_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  /// The message of the error that `call` throws.
  template <class E, class Call>
  static std::string error_of(const Call& call) {
    try {
      call();
    } catch (const E& error) {
      return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }

  fs::path folder;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(FileTest, RoundTripsTextAndBytesOfManySizes) {
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 300001u}) {
    std::vector<std::uint8_t> bytes(size);
    Philox random(1, Purpose::test);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random.bits());
    write_file_atomic(path("bytes"), std::span<const std::uint8_t>(bytes));
    EXPECT_EQ(read_file(path("bytes")), bytes);
    EXPECT_EQ(fs::file_size(path("bytes")), size);
  }
  write_file_atomic(path("text"), std::string_view("one\ntwo\0three", 13));
  EXPECT_EQ(read_text(path("text")), std::string("one\ntwo\0three", 13));
  EXPECT_EQ(count(), 2u) << "a temporary was left";
}

TEST_F(FileTest, KeepsTheOrderOfSmallAndLargePieces) {
  std::string expected;
  write_file_atomic(path("pieces"), [&expected](const ByteSink& sink) {
    for (std::size_t i = 0; i < 200; ++i) {
      const std::string piece(i % 50 == 49 ? 100000 : i * 37, static_cast<char>('a' + i % 26));
      sink({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
      expected += piece;
    }
  });
  EXPECT_EQ(read_text(path("pieces")), expected);
}

TEST_F(FileTest, ReadingSaysWhatIsWrong) {
  const auto message = [this](const std::string& name) {
    return error_of<DataError>([&] { read_file(path(name)); });
  };
  EXPECT_EQ(message("none"), path("none") + ": cannot be opened: No such file or directory");
  fs::create_directory(folder / "sub");
  EXPECT_EQ(message("sub"), path("sub") + ": is a folder, not a file");
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(message("fifo"), path("fifo") + ": is not a regular file");
  write_file_atomic(path("ten"), "0123456789");
  EXPECT_EQ(read_text(path("ten"), 10).size(), 10u);
  EXPECT_EQ(error_of<DataError>([&] { read_text(path("ten"), 9); }),
            path("ten") + ": is 10 bytes large; the limit is 9");
}

TEST_F(FileTest, KeepsThePreviousFile) {
  const auto write = [this](const std::string& text) {
    write_file_atomic(
        path("last"),
        [&text](const ByteSink& sink) {
          sink({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
        },
        path("prev"));
  };
  write("1");
  EXPECT_FALSE(fs::exists(path("prev")));
  write("2");
  EXPECT_EQ(read_text(path("last")), "2");
  EXPECT_EQ(read_text(path("prev")), "1");
  write("3");
  EXPECT_EQ(read_text(path("last")), "3");
  EXPECT_EQ(read_text(path("prev")), "2");
  // A crash between the link and the rename leaves both names on one file.
  fs::remove(path("prev"));
  fs::create_hard_link(path("last"), path("prev"));
  write("4");
  EXPECT_EQ(read_text(path("last")), "4");
  EXPECT_EQ(read_text(path("prev")), "3");
  EXPECT_EQ(count(), 2u);
}

TEST_F(FileTest, WritingNeedsTheFolder) {
  EXPECT_EQ(error_of<Error>([&] { write_file_atomic(path("no/file"), "x"); }),
            path("no/file.tmp") + ": open: No such file or directory");
  write_file_atomic(path("plain"), "x");
  EXPECT_TRUE(has(error_of<Error>([&] { write_file_atomic(path("plain/file"), "x"); }),
                  ": Not a directory"));
}

TEST_F(FileTest, RefusesToReplaceAFolder) {
  fs::create_directory(folder / "sub");
  EXPECT_EQ(error_of<Error>([&] { write_file_atomic(path("sub"), "x"); }),
            path("sub") + ": exists and is not a regular file");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, DoesNotFollowAPlantedTemporary) {
  write_file_atomic(path("victim"), "precious");
  fs::create_symlink(path("victim"), path("file.tmp"));
  EXPECT_TRUE(has(error_of<Error>([&] { write_file_atomic(path("file"), "x"); }), ".tmp: open: "));
  EXPECT_EQ(read_text(path("victim")), "precious");
}

TEST_F(FileTest, AFailingProducerLeavesTheOldFile) {
  write_file_atomic(path("file"), "old");
  const auto produce = [](const ByteSink& sink) {
    const std::vector<std::uint8_t> part(100000, 7);
    sink(part);
    throw std::runtime_error("stop");
  };
  EXPECT_EQ(
      error_of<std::runtime_error>([&] { write_file_atomic(path("file"), produce, path("prev")); }),
      "stop");
  EXPECT_EQ(read_text(path("file")), "old");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, AFullDiskLeavesTheOldFile) {
  write_file_atomic(path("file"), "old");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 100000;  // the first write is partial, the second fails
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::vector<std::uint8_t> bytes(200000, 7);
  const std::string message = error_of<Error>(
      [&] { write_file_atomic(path("file"), std::span<const std::uint8_t>(bytes)); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, path("file.tmp") + ": write: File too large; raise the limit (ulimit -f)");
  EXPECT_EQ(read_text(path("file")), "old");
  EXPECT_EQ(count(), 1u);
}

TEST_F(FileTest, AFailingRenameRemovesTheTemporary) {
  const auto produce = [this](const ByteSink&) { fs::create_directories(path("file/sub")); };
  EXPECT_TRUE(has(error_of<Error>([&] { write_file_atomic(path("file"), produce); }),
                  path("file") + ": rename: "));
  EXPECT_FALSE(fs::exists(path("file.tmp")));
}

TEST_F(FileTest, AFailingKeepLeavesTheOldFile) {
  write_file_atomic(path("file"), "old");
  fs::create_directory(path("prev"));
  const auto produce = [](const ByteSink&) {};
  EXPECT_TRUE(has(error_of<Error>([&] { write_file_atomic(path("file"), produce, path("prev")); }),
                  path("prev") + ": unlink: "));
  EXPECT_EQ(read_text(path("file")), "old");
  EXPECT_FALSE(fs::exists(path("file.tmp")));
}

/// Bit by bit from the definition.
std::uint32_t crc32c_by_bits(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~0u;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

TEST(Crc32c, KnownVectors) {
  const std::string digits = "123456789";
  const std::span check(reinterpret_cast<const std::uint8_t*>(digits.data()), digits.size());
  // RFC 3720, B.4.
  const std::vector<std::uint8_t> zeros(32, 0), ones(32, 0xFF);
  std::vector<std::uint8_t> rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  const std::vector<std::uint8_t> falling(rising.rbegin(), rising.rend());
  for (const auto crc : {crc32c, crc32c_portable}) {
    EXPECT_EQ(crc({}, 0), 0u);
    EXPECT_EQ(crc(check, 0), 0xE3069283u);
    EXPECT_EQ(crc(zeros, 0), 0x8A9136AAu);
    EXPECT_EQ(crc(ones, 0), 0x62A8AB43u);
    EXPECT_EQ(crc(rising, 0), 0x46DD794Eu);
    EXPECT_EQ(crc(falling, 0), 0x113FDB5Cu);
  }
}

TEST(Crc32c, AnyLengthOffsetAndSplit) {
  std::vector<std::uint8_t> bytes(300);
  Philox random(2, Purpose::test);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random.bits());
  for (std::size_t offset = 0; offset < 9; ++offset)
    for (std::size_t size = 0; size + offset <= 67; ++size) {
      const auto part = std::span<const std::uint8_t>(bytes).subspan(offset, size);
      const std::uint32_t expected = crc32c_by_bits(part);
      ASSERT_EQ(crc32c(part), expected);
      ASSERT_EQ(crc32c_portable(part), expected);
    }
  const std::span<const std::uint8_t> all(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    ASSERT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c_by_bits(all));
    ASSERT_EQ(crc32c_portable(all.subspan(cut), crc32c_portable(all.first(cut))),
              crc32c_by_bits(all));
  }
}

}  // namespace
}  // namespace affuse
