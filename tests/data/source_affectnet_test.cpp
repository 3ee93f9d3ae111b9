// AffectNet-8's folders, with the gaps, types and faults that copies of it have.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "data/affectnet.h"
#include "data/manifest.h"
#include "data/npy.h"
#include "engine/error.h"
#include "engine/log.h"
#include "gtest/gtest.h"
#include "tests/data/scratch.h"

namespace affuse {
namespace {

using scratch::Folder;
using scratch::message;
using std::string;
using std::vector;

void annotate(const Folder& folder, const string& split, const string& id, const string& exp,
              const string& val, const string& aro, const string& extension = ".jpg") {
  const string base = split + "/annotations/" + id;
  folder.write(split + "/images/" + id + extension, "x");
  folder.write(base + "_exp.npy", npy_bytes(npy_string(exp)));
  folder.write(base + "_val.npy", npy_bytes(npy_string(val)));
  folder.write(base + "_aro.npy", npy_bytes(npy_string(aro)));
}

/// Two samples of the training half and one of the other.
void fill(const Folder& folder) {
  annotate(folder, "train_set", "12", "7", "0.785714", "-0.055556");
  annotate(folder, "train_set", "3", "1", "-1", "1");
  annotate(folder, "train_set", "100", "0", "-2", "-2", ".PNG");
  annotate(folder, "val_set", "12", "4", "0.5", "0.5");
}

vector<string> eight() { return affectnet_class_names(); }
vector<string> seven() {
  auto names = eight();
  names.pop_back();
  return names;
}

NpyArray int64_array(std::int64_t value, vector<std::int64_t> shape) {
  NpyArray out{'i', 8, std::move(shape), vector<std::uint8_t>(8)};
  for (std::size_t b = 0; b < 8; ++b) {
    out.bytes[b] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * b));
  }
  return out;
}

TEST(AffectNetNpy, ReadsBothHalvesInOrderOfIds) {
  const Folder folder;
  fill(folder);
  const DataSplits splits = open_data({"affectnet_npy", folder.path(), "", "", eight()});
  const auto& train = splits.train.samples;
  ASSERT_EQ(train.size(), 3u);
  EXPECT_EQ(train[0].path, "train_set/images/3.jpg");
  EXPECT_EQ(train[1].path, "train_set/images/12.jpg");
  EXPECT_EQ(train[2].path, "train_set/images/100.PNG");
  EXPECT_EQ(train[0].label, 1);
  EXPECT_EQ(train[0].valence, -1);
  EXPECT_EQ(train[0].arousal, 1);
  EXPECT_EQ(train[1].label, 7);
  EXPECT_DOUBLE_EQ(train[1].valence, 0.785714);
  EXPECT_DOUBLE_EQ(train[1].arousal, -0.055556);
  EXPECT_FALSE(train[2].has_va());
  EXPECT_TRUE(train[2].has_label());
  ASSERT_EQ(splits.val.samples.size(), 1u);
  EXPECT_EQ(splits.val.samples[0].label, 4);
  EXPECT_TRUE(std::filesystem::exists(splits.train.full_path(train[0])));
}

TEST(AffectNetNpy, AcceptsRepackedNumbers) {
  const Folder folder;
  fill(folder);
  const string base = "train_set/annotations/3";
  folder.write(base + "_exp.npy", npy_bytes(int64_array(5, {})));
  const vector<float> value{0.25f};
  folder.write(base + "_val.npy", npy_bytes(npy_float(value, {1})));
  folder.write(base + "_aro.npy", npy_bytes(NpyArray{'S', 4, {}, {'-', '.', '5', 0}}));
  const Manifest m = read_affectnet_npy(folder.path(), "train_set", eight(), 1);
  EXPECT_EQ(m.samples[0].label, 5);
  EXPECT_EQ(m.samples[0].valence, 0.25);
  EXPECT_EQ(m.samples[0].arousal, -0.5);
}

TEST(AffectNetNpy, LeavesContemptOutForSevenClasses) {
  const Folder folder;
  fill(folder);
  static vector<string> lines;
  set_log_sink([](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const Manifest m = read_affectnet_npy(folder.path(), "train_set", seven(), 2);
  set_log_sink(nullptr);
  ASSERT_EQ(m.samples.size(), 2u);
  EXPECT_EQ(m.samples[1].path, "train_set/images/100.PNG");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("2 samples, 1 of Contempt left out"), string::npos) << lines[0];
}

TEST(AffectNetNpy, RefusesOtherClasses) {
  const Folder folder;
  fill(folder);
  const auto refused = [&](const vector<string>& classes) {
    return message<DataError>([&] { read_affectnet_npy(folder.path(), "train_set", classes, 1); });
  };
  EXPECT_NE(refused({"a", "b"}).find("data.classes: 2 names"), string::npos);
  auto swapped = eight();
  std::swap(swapped[4], swapped[5]);
  EXPECT_NE(refused(swapped).find("'Disgust' stands at 4"), string::npos);
  auto renamed = eight();
  renamed[1] = "Happiness";
  EXPECT_EQ(read_affectnet_npy(folder.path(), "train_set", renamed, 1).classes, renamed);
}

TEST(AffectNetNpy, NamesTheFileAtFault) {
  const Folder folder;
  fill(folder);
  const auto refused = [&](const string& word) {
    for (const int threads : {1, 4}) {
      const string what = message<DataError>(
          [&] { read_affectnet_npy(folder.path(), "train_set", eight(), threads); });
      EXPECT_NE(what.find(word), string::npos) << what;
      EXPECT_EQ(what.find('\n'), string::npos) << what;
    }
  };
  const auto broken = [&](const string& name, const vector<std::uint8_t>& bytes,
                          const string& restored) {
    folder.write("train_set/annotations/" + name, bytes);
    refused(name);
    folder.write("train_set/annotations/" + name, npy_bytes(npy_string(restored)));
  };
  const vector<float> pair{0, 0};
  broken("12_exp.npy", npy_bytes(npy_string("8")), "1");
  broken("12_exp.npy", npy_bytes(npy_string("-1")), "1");
  broken("12_exp.npy", npy_bytes(npy_string("1.5")), "1");
  broken("12_exp.npy", npy_bytes(npy_string("happy")), "1");
  broken("12_exp.npy", npy_bytes(npy_string("")), "1");
  broken("12_val.npy", npy_bytes(npy_string("nan")), "0");
  broken("12_val.npy", npy_bytes(npy_string("1.5")), "0");
  broken("12_val.npy", npy_bytes(npy_string("-2.5")), "0");
  broken("12_aro.npy", npy_bytes(npy_float(pair, {2})), "0");
  broken("12_aro.npy", npy_bytes(npy_float(std::span(pair).first(1), {1, 1})), "0");
  broken("12_aro.npy", npy_bytes(npy_float({}, {0})), "0");
  broken("12_aro.npy", {1, 2, 3}, "0");
  broken("12_aro.npy", {}, "0");

  std::filesystem::remove(folder / "train_set/annotations/12_aro.npy");
  std::filesystem::remove(folder / "train_set/annotations/100_val.npy");
  refused("12_aro.npy");  // the lower id of the two, whatever the threads
}

TEST(AffectNetNpy, RefusesFoldersThatCannotBe) {
  const Folder folder;
  const auto refused = [&](const string& word) {
    const string what =
        message<DataError>([&] { read_affectnet_npy(folder.path(), "train_set", eight(), 1); });
    EXPECT_NE(what.find(word), string::npos) << what;
  };
  refused("train_set/images");
  std::filesystem::create_directories(folder / "train_set/images");
  folder.write("train_set/images/readme.txt", "x");
  folder.write("train_set/images/12b.jpg", "x");
  folder.write("train_set/images/-1.jpg", "x");
  refused("holds no image");
  fill(folder);
  EXPECT_EQ(read_affectnet_npy(folder.path(), "train_set", eight(), 1).samples.size(), 3u);
  folder.write("train_set/images/012.png", "x");
  refused("same id");
}

TEST(AffectNetNpy, ThreadsDoNotChangeTheResult) {
  const Folder folder;
  for (int i = 0; i < 300; ++i) {
    annotate(folder, "train_set", std::to_string(i * 7), std::to_string(i % 8),
             std::to_string(i / 300.0), std::to_string(-i / 300.0));
  }
  const auto one = read_affectnet_npy(folder.path(), "train_set", eight(), 1).samples;
  const auto many = read_affectnet_npy(folder.path(), "train_set", eight(), 5).samples;
  ASSERT_EQ(one.size(), 300u);
  ASSERT_EQ(many.size(), 300u);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(one[i].path, many[i].path);
    EXPECT_EQ(one[i].label, static_cast<int>(i % 8));
    EXPECT_EQ(many[i].label, one[i].label);
    EXPECT_EQ(many[i].valence, one[i].valence);
    EXPECT_EQ(many[i].arousal, one[i].arousal);
  }
}

}  // namespace
}  // namespace affuse
