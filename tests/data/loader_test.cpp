// The loader: what batches hold, their order, errors, and stopping at any moment.
#include "data/loader.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "engine/error.h"
#include "gtest/gtest.h"
#include "tests/data/scratch.h"

namespace affuse {
namespace {

using scratch::Folder;
using scratch::message;
using scratch::picture;
using std::string;
using std::vector;

constexpr int kSize = 8;
constexpr std::size_t kSamples = 43;
constexpr std::size_t kPixels = kSize * kSize * 3;

Manifest make_set(const Folder& folder, std::size_t samples = kSamples) {
  Manifest manifest{folder.path(), {"a", "b", "c"}, {}};
  for (std::size_t i = 0; i < samples; ++i) {
    const int n = static_cast<int>(i);
    Sample s;
    s.path = std::to_string(i) + (i % 3 == 0 ? ".png" : ".jpg");
    const Image image = picture(8 + n % 5, 8 + n % 3, n);
    folder.write(s.path, i % 3 == 0 ? encode_png(image) : encode_jpeg(image));
    s.label = n % 4 - 1;
    if (i % 5 != 0) s.valence = n / 50.0;
    if (i % 7 != 0) s.arousal = -n / 50.0;
    manifest.samples.push_back(s);
  }
  return manifest;
}

vector<float> make_targets(std::size_t samples = kSamples) {
  vector<float> q;
  for (std::size_t i = 0; i < samples * 3; ++i) q.push_back(static_cast<float>(i));
  return q;
}

LoaderOptions options_of(std::size_t batch, int workers, std::size_t prefetch = 2) {
  LoaderOptions o;
  o.image_size = kSize;
  o.batch = batch;
  o.seed = 11;
  o.workers = workers;
  o.prefetch = prefetch;
  return o;
}

vector<Batch> rest_of_epoch(Loader& loader) {
  vector<Batch> batches;
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

vector<Batch> epoch_of(Loader& loader, std::uint32_t epoch, std::size_t first = 0) {
  loader.start_epoch(epoch, first);
  return rest_of_epoch(loader);
}

bool equal(const math::AugmentParams& a, const math::AugmentParams& b) {
  return std::ranges::equal(a.inverse.m, b.inverse.m) && a.brightness == b.brightness &&
         a.contrast == b.contrast && a.erase_top == b.erase_top &&
         a.erase_height == b.erase_height && a.flip == b.flip &&
         std::ranges::equal(a.order, b.order);
}

void expect_equal(const vector<Batch>& a, const vector<Batch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].number, b[i].number);
    EXPECT_EQ(a[i].indices, b[i].indices);
    EXPECT_EQ(a[i].images, b[i].images);
    EXPECT_EQ(a[i].labels, b[i].labels);
    EXPECT_EQ(a[i].va, b[i].va);
    EXPECT_EQ(a[i].has_va, b[i].has_va);
    EXPECT_EQ(a[i].q, b[i].q);
    EXPECT_TRUE(std::ranges::equal(a[i].augment, b[i].augment, equal));
  }
}

void expect_row(const Batch& b, std::size_t row, const Manifest& manifest) {
  const std::uint32_t index = b.indices[row];
  const Sample& s = manifest.samples[index];
  vector<std::uint8_t> image(kPixels);
  load_square(manifest.full_path(s), kSize, {}, image);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), &b.images[row * kPixels]));
  EXPECT_EQ(b.labels[row], s.label);
  EXPECT_EQ(b.has_va[row] == 1, s.has_va());
  EXPECT_EQ(b.va[2 * row], s.has_va() ? static_cast<float>(s.valence) : 0);
  EXPECT_EQ(b.va[2 * row + 1], s.has_va() ? static_cast<float>(s.arousal) : 0);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(b.q[row * 3 + k], static_cast<float>(index * 3 + k));
  }
  EXPECT_TRUE(equal(b.augment[row], draw_augment({}, kSize, 11, 4, index)));
}

void expect_padding(const Batch& b) {
  const auto zero = [](const auto& values, std::size_t from) {
    return std::all_of(values.begin() + static_cast<std::ptrdiff_t>(from), values.end(),
                       [](auto x) { return x == 0; });
  };
  EXPECT_TRUE(zero(b.images, b.valid * kPixels));
  EXPECT_TRUE(zero(b.va, b.valid * 2));
  EXPECT_TRUE(zero(b.has_va, b.valid));
  EXPECT_TRUE(zero(b.q, b.valid * 3));
  for (std::size_t row = b.valid; row < b.n; ++row) {
    EXPECT_EQ(b.labels[row], -1);
    EXPECT_TRUE(equal(b.augment[row], math::identity_augment()));
  }
}

TEST(Loader, EverySampleOnceWithItsAnnotationsAndAPaddedLastBatch) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  Loader loader(manifest, options_of(10, 3), make_targets());
  EXPECT_EQ(loader.batches(), 5u);
  loader.start_epoch(4);
  vector<int> seen(kSamples);
  std::size_t number = 0;
  for (Batch b; loader.next(b); ++number) {  // one Batch, so that recycled buffers are checked
    EXPECT_EQ(b.number, number);
    EXPECT_EQ(b.n, 10u);
    EXPECT_EQ(b.valid, number == 4 ? 3u : 10u);
    ASSERT_EQ(b.indices.size(), b.valid);
    ASSERT_EQ(b.images.size(), 10 * kPixels);
    ASSERT_EQ(b.q.size(), 30u);
    for (std::size_t row = 0; row < b.valid; ++row) {
      ++seen[b.indices[row]];
      expect_row(b, row, manifest);
    }
    expect_padding(b);
  }
  EXPECT_EQ(number, 5u);
  EXPECT_EQ(seen, vector<int>(kSamples, 1));
}

TEST(Loader, WorkersPrefetchAndCacheChangeNothing) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  Loader reference(manifest, options_of(10, 1, 1), make_targets());
  const auto first = epoch_of(reference, 0), second = epoch_of(reference, 1);
  EXPECT_NE(first[0].indices, second[0].indices);
  for (const int workers : {2, 5}) {
    for (const std::size_t prefetch : {1u, 3u, 20u}) {
      LoaderOptions o = options_of(10, workers, prefetch);
      if (prefetch == 3) o.images = ImageCache::create(kSamples, kSize, 1 << 20);
      Loader loader(manifest, o, make_targets());
      expect_equal(epoch_of(loader, 0), first);
      expect_equal(epoch_of(loader, 1), second);
    }
  }
}

TEST(Loader, ResumesAtABatch) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  Loader loader(manifest, options_of(10, 2), make_targets());
  const auto whole = epoch_of(loader, 3);
  for (std::size_t first = 0; first <= 5; ++first) {
    Loader resumed(manifest, options_of(10, 3, 3), make_targets());
    expect_equal(epoch_of(resumed, 3, first),
                 {whole.begin() + static_cast<std::ptrdiff_t>(first), whole.end()});
  }
  EXPECT_THROW(loader.start_epoch(3, 6), ConfigError);
}

TEST(Loader, SequentialWithoutShuffleAndDropLast) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  LoaderOptions o = options_of(10, 2);
  o.shuffle = false;
  o.drop_last = true;
  o.augment.enabled = false;
  Loader loader(manifest, o);
  const auto batches = epoch_of(loader, 9);
  ASSERT_EQ(batches.size(), 4u);
  std::uint32_t expected = 0;
  for (const Batch& b : batches) {
    for (const std::uint32_t index : b.indices) EXPECT_EQ(index, expected++);
    for (const auto& p : b.augment) EXPECT_TRUE(equal(p, math::identity_augment()));
    for (const float q : b.q) EXPECT_EQ(q, 0);
  }
}

TEST(Loader, ServesFromMemoryAfterTheFirstEpoch) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  LoaderOptions o = options_of(16, 3);
  o.images = ImageCache::create(kSamples, kSize, 1 << 20);
  Loader loader(manifest, o), other(manifest, o);
  std::jthread beside([&] { epoch_of(other, 1); });  // two loaders fill one cache
  epoch_of(loader, 0);
  beside.join();
  Loader plain(manifest, options_of(16, 1));
  const auto expected = epoch_of(plain, 2);
  for (const Sample& s : manifest.samples) std::filesystem::remove(manifest.full_path(s));
  expect_equal(epoch_of(loader, 2), expected);
  EXPECT_THROW(epoch_of(plain, 2), DataError);
}

TEST(Loader, RethrowsTheFirstErrorOfABatchInOrder) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  LoaderOptions o = options_of(20, 4, 3);
  o.shuffle = false;
  folder.write("27.png", "broken");
  folder.write("38.jpg", "broken");
  for (int round = 0; round < 10; ++round) {
    Loader loader(manifest, o);
    loader.start_epoch(0);
    Batch batch;
    EXPECT_TRUE(loader.next(batch));
    for (int again = 0; again < 2; ++again) {
      const string what = message<DataError>([&] { loader.next(batch); });
      EXPECT_NE(what.find("27.png"), string::npos) << what;
    }
    loader.start_epoch(0, 2);  // the loader can go on
    EXPECT_TRUE(loader.next(batch));
    EXPECT_FALSE(loader.next(batch));
  }
}

TEST(Loader, StopsAtAnyMoment) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  for (int round = 0; round < 60; ++round) {
    Loader loader(manifest, options_of(5, 1 + round % 4, 1 + static_cast<std::size_t>(round % 5)));
    Batch batch;
    EXPECT_FALSE(loader.next(batch));  // no epoch yet
    if (round % 6 == 0) continue;
    loader.start_epoch(0);
    for (int i = 0; i < round % 7; ++i) EXPECT_TRUE(loader.next(batch));
  }
}

TEST(Loader, RestartsInTheMiddleOfAnEpoch) {
  const Folder folder;
  const Manifest manifest = make_set(folder);
  Loader reference(manifest, options_of(5, 1), make_targets());
  const auto expected = epoch_of(reference, 7);
  Loader loader(manifest, options_of(5, 3, 4), make_targets());
  for (std::uint32_t round = 0; round < 30; ++round) {
    loader.start_epoch(round);
    Batch batch;
    for (std::uint32_t i = 0; i < round % 5; ++i) EXPECT_TRUE(loader.next(batch));
    if (round % 10 == 9) expect_equal(epoch_of(loader, 7), expected);
  }
}

TEST(Loader, AnEmptySetHasNoBatches) {
  const Manifest manifest{"", {"a"}, {}};
  Loader loader(manifest, options_of(5, 2));
  EXPECT_TRUE(epoch_of(loader, 0).empty());
}

TEST(Loader, RefusesUnusableOptions) {
  const Manifest manifest{"", {"a", "b"}, vector<Sample>(3)};
  const auto refused = [&](auto change, vector<float> targets = {}) {
    LoaderOptions o = options_of(5, 1);
    change(o);
    EXPECT_THROW(Loader(manifest, o, std::move(targets)), ConfigError);
  };
  refused([](LoaderOptions& o) { o.batch = 0; });
  refused([](LoaderOptions& o) { o.workers = 0; });
  refused([](LoaderOptions& o) { o.prefetch = 0; });
  refused([](LoaderOptions& o) { o.image_size = 0; });
  refused([](LoaderOptions& o) { o.images = ImageCache::create(4, kSize, 1 << 20); });
  refused([](LoaderOptions& o) { o.images = ImageCache::create(3, kSize + 1, 1 << 20); });
  refused([](LoaderOptions&) {}, vector<float>(5));
}

TEST(Loader, ARankGetsItsShareAndAnEmptyOneToo) {
  const Folder folder;
  const Manifest manifest = make_set(folder);  // 43 = 3 * 14 + 1
  LoaderOptions whole = options_of(14, 2);
  Loader all(manifest, whole);
  all.start_epoch(1);
  const vector<Batch> batches = rest_of_epoch(all);
  for (const std::size_t prefetch : {1u, 3u})
    for (std::size_t rank = 0; rank < 2; ++rank) {
      LoaderOptions options = options_of(14, 3, prefetch);
      options.share = {rank, 2};
      Loader part(manifest, options);
      for (int again = 0; again < 20; ++again) {
        part.start_epoch(1);
        const vector<Batch> shares = rest_of_epoch(part);
        ASSERT_EQ(shares.size(), batches.size());
        for (std::size_t b = 0; b < shares.size(); ++b) {
          const Batch& share = shares[b];
          EXPECT_EQ(share.n, 7u);
          EXPECT_EQ(share.all, batches[b].valid);
          EXPECT_EQ(share.valid, b < 3 ? 7u : 1 - rank);
          for (std::size_t row = 0; row < share.valid; ++row)
            EXPECT_EQ(share.indices[row], batches[b].indices[7 * rank + row]);
        }
      }
    }
}

TEST(Loader, AnInterruptionEndsAWaitAndLasts) {
  const Folder folder;
  Manifest manifest{folder.path(), {"a"}, {}};
  folder.write("large.jpg", encode_jpeg(picture(1500, 1500, 1)));
  Sample large;
  large.path = "large.jpg";
  manifest.samples.assign(64, large);
  for (std::size_t i = 0; i < 8; ++i) manifest.samples[i].path = "small.png";
  folder.write("small.png", encode_png(picture(8, 8, 1)));
  LoaderOptions options = options_of(8, 1);
  options.shuffle = false;
  options.images = ImageCache::create(64, kSize, std::size_t{1} << 20);
  int asked = 0, yes_from = 1 << 30;
  options.interrupted = [&] { return ++asked >= yes_from; };
  Loader loader(manifest, options);
  Batch batch;
  loader.start_epoch(0);
  ASSERT_TRUE(loader.next(batch));
  asked = 0, yes_from = 3;  // no at first, yes in the wait
  EXPECT_FALSE(loader.next(batch));
  EXPECT_EQ(asked, 3);
  vector<std::uint8_t> pixels(kPixels);
  EXPECT_FALSE(options.images->read(15, pixels)) << "the batch was not ready";
  EXPECT_FALSE(loader.next(batch)) << "also for those that are";
  yes_from = 1 << 30;
  loader.start_epoch(0);
  ASSERT_TRUE(loader.next(batch)) << "as nobody asks to stop any more";
}

}  // namespace
}  // namespace affuse
