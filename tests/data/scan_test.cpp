// The scan: which images are bad, what is remembered, what stays in memory.
#include "data/scan.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "data/csv.h"
#include "engine/error.h"
#include "gtest/gtest.h"
#include "tests/data/scratch.h"

namespace affuse {
namespace {

using scratch::Folder;
using scratch::message;
using scratch::picture;
using std::string;

/// `good` JPEGs and PNGs of different sizes, named 0.jpg, 1.png, ...
Manifest good_images(const Folder& folder, int good) {
  Manifest manifest{folder.path(), {"a"}, {}};
  for (int i = 0; i < good; ++i) {
    Sample s;
    s.path = std::to_string(i) + (i % 2 == 0 ? ".jpg" : ".png");
    const Image image = picture(20 + i, 17, i);
    folder.write(s.path, i % 2 == 0 ? encode_jpeg(image) : encode_png(image));
    manifest.samples.push_back(s);
  }
  return manifest;
}

void insert(Manifest& manifest, std::size_t at, const string& path) {
  Sample s;
  s.path = path;
  at = std::min(at, manifest.samples.size());
  manifest.samples.insert(manifest.samples.begin() + static_cast<std::ptrdiff_t>(at), s);
}

/// Five bad images among `good` good ones, at places 0, 2, 3, 5 and the end.
Manifest mixed_images(const Folder& folder, int good) {
  Manifest manifest = good_images(folder, good);
  auto jpeg = encode_jpeg(picture(40, 40, 1));
  jpeg.resize(jpeg.size() * 2 / 3);
  folder.write("truncated.jpg", jpeg);
  folder.write("text.jpg", "not an image, whatever its name");
  folder.write("empty.jpg", "");
  std::filesystem::create_directories(folder / "folder.jpg");
  insert(manifest, 0, "truncated.jpg");
  insert(manifest, 2, "text.jpg");
  insert(manifest, 3, "empty.jpg");
  insert(manifest, 5, "missing.jpg");
  insert(manifest, manifest.samples.size(), "folder.jpg");
  return manifest;
}

ScanOptions tolerant(int threads = 2) {
  ScanOptions options;
  options.threads = threads;
  options.max_bad_fraction = 1;
  return options;
}

TEST(Scan, FindsBadImagesAndLeavesThemOut) {
  const Folder folder;
  for (const int threads : {1, 4}) {
    Manifest manifest = mixed_images(folder, 8);
    const ScanResult result = scan_images(manifest, tolerant(threads));
    ASSERT_EQ(result.bad.size(), 5u);
    EXPECT_EQ(result.decoded, 13u);
    const char* names[] = {"truncated.jpg", "text.jpg", "empty.jpg", "missing.jpg", "folder.jpg"};
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(result.bad[i].path, names[i]);
      EXPECT_FALSE(result.bad[i].reason.empty());
      EXPECT_EQ(result.bad[i].reason.find('\n'), string::npos);
      EXPECT_EQ(result.bad[i].reason.find(folder.path()), string::npos) << result.bad[i].reason;
    }
    ASSERT_EQ(manifest.samples.size(), 8u);
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_TRUE(manifest.samples[i].path.starts_with(std::to_string(i) + "."));
    }
  }
}

TEST(Scan, StopsAboveTheAllowedFraction) {
  const Folder folder;
  ScanOptions options;
  options.max_bad_fraction = 5.0 / 13 - 1e-6;
  Manifest manifest = mixed_images(folder, 8);
  const string what = message<DataError>([&] { scan_images(manifest, options); });
  for (const char* word :
       {"5 of 13", "truncated.jpg (", "text.jpg (", "empty.jpg (", "data.max_bad_fraction"}) {
    EXPECT_NE(what.find(word), string::npos) << what;
  }
  EXPECT_EQ(what.find("missing.jpg"), string::npos) << "more than three named: " << what;
  EXPECT_EQ(manifest.samples.size(), 13u);
  options.max_bad_fraction = 5.0 / 13;
  EXPECT_EQ(scan_images(manifest, options).bad.size(), 5u);

  Manifest all_bad{folder.path(), {"a"}, {}};
  insert(all_bad, 0, "text.jpg");
  EXPECT_THROW(scan_images(all_bad, tolerant()), DataError);
}

TEST(Scan, RemembersBySizeAndTime) {
  const Folder folder;
  ScanOptions options = tolerant();
  options.results_file = folder / "scan.csv";
  for (int i = 0; i < 6; ++i) {
    folder.write(std::to_string(i) + ".jpg", encode_jpeg(picture(20, 20, i)));
  }
  Manifest manifest = mixed_images(folder, 0);
  for (int i = 0; i < 6; ++i) insert(manifest, 0, std::to_string(i) + ".jpg");
  const auto rescan = [&] {
    Manifest copy = manifest;
    return scan_images(copy, options);
  };
  const ScanResult first = rescan();
  EXPECT_EQ(first.decoded, 11u);
  const ScanResult second = rescan();
  EXPECT_EQ(second.decoded, 2u);  // missing and folder.jpg: no bytes, so nothing to remember
  ASSERT_EQ(second.bad.size(), first.bad.size());
  for (std::size_t i = 0; i < first.bad.size(); ++i) {
    EXPECT_EQ(second.bad[i].reason, first.bad[i].reason);
  }

  folder.write("text.jpg", encode_jpeg(picture(9, 9, 9)));
  EXPECT_EQ(rescan().bad.size(), 4u);  // healed: another size
  const auto time = std::filesystem::last_write_time(folder / "0.jpg");
  std::filesystem::last_write_time(folder / "0.jpg", time + std::chrono::seconds(1));
  EXPECT_EQ(rescan().decoded, 3u);
  EXPECT_EQ(rescan().decoded, 2u);

  options.limits.max_pixels = 100;
  EXPECT_EQ(rescan().decoded, 11u);  // other limits, another verdict
  options.limits = {};
  EXPECT_EQ(rescan().decoded, 11u);
  for (const char* damage : {"", "x", "# affuse scan 1, limits 67108864 67108864\npath,bytes\n1"}) {
    folder.write("scan.csv", damage);
    EXPECT_EQ(rescan().decoded, 11u);
  }
  options.results_file = folder / "no/such/folder/scan.csv";
  EXPECT_EQ(rescan().decoded, 11u);
}

TEST(Scan, OneResultsFileServesSeveralManifests) {
  const Folder folder;
  ScanOptions options = tolerant();
  options.results_file = folder / "scan.csv";
  Manifest all = good_images(folder, 6), odd = all, even = all;
  odd.samples.resize(3);
  even.samples.erase(even.samples.begin(), even.samples.begin() + 3);
  EXPECT_EQ(scan_images(odd, options).decoded, 3u);
  EXPECT_EQ(scan_images(even, options).decoded, 3u);
  EXPECT_EQ(scan_images(all, options).decoded, 0u);
}

TEST(Scan, KeepsTheGoodImagesInMemory) {
  const Folder folder;
  Manifest manifest = mixed_images(folder, 8);
  constexpr int size = 12;
  ImageCache images(manifest.samples.size(), size);
  scan_images(manifest, tolerant(), &images);
  ASSERT_EQ(images.samples(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    std::vector<std::uint8_t> kept(size * size * 3), loaded(kept.size(), 1);
    ASSERT_TRUE(images.read(i, kept));
    load_square(manifest.full_path(manifest.samples[i]), size, {}, loaded);
    EXPECT_EQ(kept, loaded) << i;
  }
}

TEST(Scan, CacheIsMadeOnlyWhereItFits) {
  EXPECT_NE(ImageCache::create(10, 4, 480), nullptr);
  EXPECT_EQ(ImageCache::create(10, 4, 479), nullptr);
  EXPECT_EQ(ImageCache::create(0, 4, 479), nullptr);
  EXPECT_EQ(ImageCache::create(std::size_t{1} << 62, 1 << 20, ~std::uint64_t{0}), nullptr);
  std::vector<std::uint8_t> out(48);
  EXPECT_FALSE(ImageCache(1, 4).read(0, out));
}

TEST(Scan, ProgressMayStopIt) {
  const Folder folder;
  Manifest manifest = good_images(folder, 8);
  ScanOptions options = tolerant(3);
  options.progress = [](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 8u);
    if (done == 2) throw Error("stopped");
  };
  EXPECT_EQ(message<Error>([&] { scan_images(manifest, options); }), "stopped");
}

TEST(Scan, WritesSkippedCsv) {
  const Folder folder;
  write_skipped(folder / "skipped.csv", {{"a, b.jpg", "no \"end\""}, {"c.jpg", "empty"}});
  const CsvTable table = CsvTable::read(folder / "skipped.csv");
  ASSERT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.header(), (std::vector<string>{"path", "reason"}));
  EXPECT_EQ(table.text(0, 0), "a, b.jpg");
  EXPECT_EQ(table.text(0, 1), "no \"end\"");
  EXPECT_EQ(table.text(1, 1), "empty");
}

}  // namespace
}  // namespace affuse
