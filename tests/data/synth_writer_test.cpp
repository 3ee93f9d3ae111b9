// The synthetic set on disk: counts, both layouts through the real readers, and refusals.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

#include "data/manifest.h"
#include "data/npy.h"
#include "data/synth/output_folder.h"
#include "data/synth/writer.h"
#include "engine/error.h"
#include "engine/file.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

class SynthWriter : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    base_ = fs::path(testing::TempDir()) / ("affuse_synth_" + std::string(info->name()));
    fs::remove_all(base_);
    fs::create_directories(base_);
  }
  void TearDown() override { fs::remove_all(base_); }
  std::string at(const std::string& name) const { return (base_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(base_), {}));
  }
  fs::path base_;
};

SynthSetOptions small(SynthLayout layout) {
  SynthSetOptions o;
  o.face = {.seed = 6, .size = 24};
  o.train = 40;
  o.val = 16;
  o.layout = layout;
  o.threads = 1;
  return o;
}

std::map<std::string, std::vector<std::uint8_t>> contents(const std::string& root) {
  std::map<std::string, std::vector<std::uint8_t>> files;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), root).string()] = read_file(entry.path().string());
  return files;
}

void expect_samples(const Manifest& manifest, const std::vector<int>& labels,
                    const SynthOptions& options, std::uint32_t first) {
  ASSERT_EQ(manifest.samples.size(), labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Sample& s = manifest.samples[i];
    const SynthFace face = synth_face(options, first + static_cast<std::uint32_t>(i), labels[i]);
    EXPECT_EQ(s.label, labels[i]);
    EXPECT_NEAR(s.valence, face.annotated_va.valence, 5.1e-7);
    EXPECT_NEAR(s.arousal, face.annotated_va.arousal, 5.1e-7);
    const Image image = read_image(manifest.full_path(s));
    ASSERT_EQ(image.rgb.size(), face.image.rgb.size());
    double error = 0;
    for (std::size_t k = 0; k < image.rgb.size(); ++k)
      error += std::abs(int{image.rgb[k]} - int{face.image.rgb[k]});
    EXPECT_LT(error / static_cast<double>(image.rgb.size()), 5) << s.path;
  }
}

TEST(SynthCounts, FollowAffectNetToAPower) {
  const std::vector<int> whole = synth_class_counts(287651, 1);
  EXPECT_TRUE(std::ranges::equal(whole, kAffectNetTrainCounts));
  for (int n : {1, 7, 8, 100, 6001}) {
    const std::vector<int> even = synth_class_counts(n, 0), half = synth_class_counts(n, .5);
    EXPECT_EQ(std::accumulate(even.begin(), even.end(), 0), n);
    EXPECT_EQ(std::accumulate(half.begin(), half.end(), 0), n);
    EXPECT_LE(*std::ranges::max_element(even) - *std::ranges::min_element(even), 1);
  }
  const std::vector<int> half = synth_class_counts(100000, .5);
  for (std::size_t k = 1; k < half.size(); ++k)
    EXPECT_NEAR(half[k] / static_cast<double>(half[0]),
                std::sqrt(kAffectNetTrainCounts[k] / 74874.), 2e-4);
}

TEST(SynthCounts, LabelsAreShuffledAndKeepTheirCounts) {
  SynthSetOptions o;
  o.train = 4000;
  const std::vector<int> labels = synth_train_labels(o);
  const std::vector<int> counts = synth_class_counts(4000, o.balance);
  for (int k = 0; k < kAffectNetClasses; ++k)
    EXPECT_EQ(std::ranges::count(labels, k), counts[static_cast<std::size_t>(k)]);
  // In each tenth of the ids the classes have about their share.
  for (int part = 0; part < 10; ++part) {
    const auto from = labels.begin() + part * 400;
    const double expected = counts[1] / 10.;
    EXPECT_NEAR(static_cast<double>(std::count(from, from + 400, 1)), expected,
                5 * std::sqrt(expected));
  }
  const std::vector<int> again = synth_train_labels(o);
  EXPECT_EQ(labels, again);
  o.face.seed = 2;
  EXPECT_NE(labels, synth_train_labels(o));
}

TEST_F(SynthWriter, AffectNetLayoutIsReadByItsReader) {
  const SynthSetOptions o = small(SynthLayout::affectnet_npy);
  write_synthetic(o, at("set"));
  EXPECT_EQ(contents(at("set")).size(), 4u * 56);
  const NpyArray text = read_npy(at("set/train_set/annotations/0_val.npy"));
  EXPECT_EQ(text.kind, 'U');
  EXPECT_TRUE(text.shape.empty());
  const auto names = affectnet_class_names();
  expect_samples(read_affectnet_npy(at("set"), "train_set", names, 1), synth_train_labels(o),
                 o.face, 0);
  expect_samples(read_affectnet_npy(at("set"), "val_set", names, 1), synth_val_labels(o), o.face,
                 kSynthValidationIndex);
}

TEST_F(SynthWriter, CsvLayoutIsReadByItsReader) {
  const SynthSetOptions o = small(SynthLayout::csv);
  write_synthetic(o, at("set/"));
  const auto names = affectnet_class_names();
  expect_samples(read_csv_manifest(at("set/train.csv"), names), synth_train_labels(o), o.face, 0);
  expect_samples(read_csv_manifest(at("set/val.csv"), names), synth_val_labels(o), o.face,
                 kSynthValidationIndex);
}

TEST_F(SynthWriter, BytesDoNotDependOnThreads) {
  SynthSetOptions o = small(SynthLayout::affectnet_npy);
  write_synthetic(o, at("one"));
  o.threads = 3;
  std::size_t calls = 0, last = 0;
  write_synthetic(o, at("three"), [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 56u);
    EXPECT_GT(done, last);
    last = done, ++calls;
  });
  EXPECT_EQ(last, 56u);
  EXPECT_GT(calls, 0u);
  EXPECT_EQ(contents(at("one")), contents(at("three")));
}

TEST_F(SynthWriter, ReplacesOnlyASyntheticSetAndOnlyWhenTold) {
  SynthSetOptions o = small(SynthLayout::csv);
  fs::create_directories(at("set"));  // empty: fine
  write_synthetic(o, at("set"));
  EXPECT_THROW(write_synthetic(o, at("set")), ConfigError);
  o.overwrite = true;
  o.layout = SynthLayout::affectnet_npy;
  write_synthetic(o, at("set"));
  EXPECT_FALSE(fs::exists(at("set/train.csv")));
  EXPECT_TRUE(fs::exists(at("set/train_set/images/39.jpg")));
  EXPECT_EQ(entries(), 1u);
  std::ofstream(at("set/thesis.tex")) << "mine";
  EXPECT_THROW(write_synthetic(o, at("set")), ConfigError);
  EXPECT_TRUE(fs::exists(at("set/thesis.tex")));
  std::ofstream(at("file")) << "mine";
  EXPECT_THROW(write_synthetic(o, at("file")), ConfigError);
  fs::create_directories(at("other.tmp/mine"));
  EXPECT_THROW(write_synthetic(o, at("other")), ConfigError);
  EXPECT_TRUE(fs::exists(at("other.tmp/mine")));
}

TEST_F(SynthWriter, LeavesNothingAfterAFailure) {
  SynthSetOptions o = small(SynthLayout::affectnet_npy);
  o.threads = 2;
  const auto stop = [](std::size_t done, std::size_t) {
    if (done > 20) throw Error("stopped");
  };
  EXPECT_THROW(write_synthetic(o, at("set"), stop), Error);
  EXPECT_EQ(entries(), 0u);
  fs::create_directories(at("set.tmp/train_set"));  // of a killed run
  std::ofstream(at("set.tmp/.unfinished"));
  write_synthetic(o, at("set"));
  EXPECT_EQ(entries(), 1u);
  EXPECT_FALSE(fs::exists(at("set/.unfinished")));
  fs::create_directories(at("early.tmp"));  // of one killed before its first file
  write_synthetic(o, at("early"));
  EXPECT_EQ(entries(), 2u);
  std::ofstream(at("file")) << "mine";
  EXPECT_THROW(write_synthetic(o, at("file/set")), Error);
}

TEST_F(SynthWriter, TwoAtOnceDoNotMix) {
  const SynthSetOptions o = small(SynthLayout::csv);
  std::string refusal;
  const auto draw_again = [&](std::size_t, std::size_t) {
    if (!refusal.empty()) return;
    try {
      write_synthetic(o, at("set"));
      refusal = "none";
    } catch (const ConfigError& e) {
      refusal = e.what();
    }
  };
  write_synthetic(o, at("set"), draw_again);
  EXPECT_EQ(refusal, at("set") + ": another affuse is drawing it; start again when it is done");
  EXPECT_TRUE(fs::exists(at("set/images/train/39.jpg")));
  EXPECT_FALSE(fs::exists(at("set/.unfinished")));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(SynthWriter, AFullDiskIsAnErrorThatNamesTheFile) {
  const std::vector<std::uint8_t> bytes(100, 1);
  try {
    write_plain("/dev/full", bytes);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "/dev/full: cannot be written: No space left on device; free some space");
  }
  EXPECT_THROW(write_plain(at("missing/x"), bytes), Error);
}

TEST_F(SynthWriter, RefusesUnusableOptions) {
  const auto refused = [&](const std::function<void(SynthSetOptions&)>& spoil) {
    SynthSetOptions o = small(SynthLayout::csv);
    spoil(o);
    EXPECT_THROW(write_synthetic(o, at("set")), ConfigError);
  };
  refused([](auto& o) { o.train = 0; });
  refused([](auto& o) { o.val = -3; });
  refused([](auto& o) { o.balance = -1; });
  refused([](auto& o) { o.balance = std::nan(""); });
  refused([](auto& o) { o.jpeg_quality = 0; });
  refused([](auto& o) { o.threads = -1; });
  refused([](auto& o) { o.face.size = 3; });
  SynthSetOptions o = small(SynthLayout::csv);
  EXPECT_THROW(write_synthetic(o, ""), ConfigError);
  EXPECT_EQ(entries(), 0u);
}

}  // namespace
}  // namespace affuse
