// State dicts: round trips through a file and the check against a model.
#include "weights/state_dict.h"

#include <filesystem>

#include <fmt/format.h>
#include <stdlib.h>

#include "engine/error.h"
#include "engine/file.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

Tensor floats(std::vector<std::int64_t> shape, std::vector<float> values) {
  return {std::move(shape), std::move(values), {}, false};
}

Tensor counter(std::int64_t value) { return {{}, {}, {value}, true}; }

StateDict small() {
  return {{"conv1.weight", floats({2, 1, 1, 2}, {1, -2, 3.5f, 0})},
          {"bn1.weight", floats({2}, {0.1f, 1e-30f})},
          {"bn1.num_batches_tracked", counter(123456789012)},
          {"none", floats({0, 3}, {})},
          {"scalar", floats({}, {7})}};
}

const ExpectedShapes model{{"conv1.weight", {2, 1, 1, 2}},
                           {"bn1.weight", {2}},
                           {"bn1.num_batches_tracked", {}},
                           {"none", {0, 3}},
                           {"scalar", {}}};

std::string mismatch(const StateDict& tensors, const ExpectedShapes& expected = model) {
  try {
    check_state_dict(tensors, expected, "w.safetensors");
  } catch (const WeightsError& error) {
    return error.what();
  }
  return {};
}

TEST(StateDict, RoundTripsThroughAFile) {
  std::string folder = testing::TempDir() + "affuse_state_dict_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/w.safetensors";
  const Metadata metadata{{"classes", R"(["a","b"])"}, {"image_size", "224"}};
  write_weights(path, {small(), metadata});
  const Weights read = read_weights(path);
  EXPECT_EQ(read.tensors, small());
  EXPECT_EQ(read.metadata, metadata);
  EXPECT_EQ(SafetensorsFile::open(path).find("bn1.num_batches_tracked")->dtype, "I64");
  EXPECT_EQ(SafetensorsFile::open(path).find("conv1.weight")->dtype, "F32");

  StateDict wrong = small();
  wrong["bn1.weight"].values.push_back(1);
  EXPECT_THROW(write_weights(path, {wrong, {}}), WeightsError);
  EXPECT_EQ(read_weights(path).tensors, small()) << "a refused write must leave the file";
  write_weights(path, {{}, {}}, folder + "/prev.safetensors");
  EXPECT_TRUE(read_weights(path).tensors.empty());
  EXPECT_EQ(read_weights(folder + "/prev.safetensors").tensors, small());
  fs::remove_all(folder);
}

TEST(StateDict, HalvesBecomeFloatsAndBytesIntegers) {
  const std::vector<std::uint16_t> half{0x3C00}, bf16{0xBF80};
  const std::vector<std::uint8_t> flag{1};
  const std::vector<SafetensorsEntry> entries{{"h", "F16", {1}, bytes_of(half)},
                                              {"b", "BF16", {1}, bytes_of(bf16)},
                                              {"o", "BOOL", {1}, bytes_of(flag)}};
  std::string file = safetensors_header(entries, {});
  for (const auto& e : entries) file.append(e.bytes.begin(), e.bytes.end());
  const std::vector<std::uint8_t> bytes(file.begin(), file.end());
  const StateDict expected{
      {"h", floats({1}, {1})}, {"b", floats({1}, {-1})}, {"o", Tensor{{1}, {}, {1}, true}}};
  EXPECT_EQ(to_state_dict(SafetensorsFile::parse(bytes, "memory")), expected);
}

TEST(StateDict, FitsItsModel) {
  EXPECT_EQ(mismatch(small()), "");
  EXPECT_TRUE(compare(small(), model).empty());
  StateDict without = small();
  without.erase("bn1.num_batches_tracked");
  EXPECT_EQ(mismatch(without), "");
  ExpectedShapes no_counters = model;
  no_counters.erase("bn1.num_batches_tracked");
  EXPECT_EQ(mismatch(small(), no_counters), "");
}

TEST(StateDict, NamesWhatDoesNotFit) {
  StateDict bad = small();
  bad.erase("scalar");
  bad["fc.weight"] = floats({1}, {1});
  bad["none"] = floats({3, 0}, {});
  bad["bn1.weight"] = Tensor{{2}, {}, {1, 2}, true};
  EXPECT_EQ(mismatch(bad),
            "w.safetensors: does not fit the model: 1 missing ('scalar'); 1 unexpected "
            "('fc.weight'); 2 of the wrong shape ('bn1.weight' holds integers, 'none' is [3,0], "
            "the model has [0,3])");
  bad = small();
  bad["bn1.num_batches_tracked"] = floats({}, {1});
  EXPECT_EQ(mismatch(bad),
            "w.safetensors: does not fit the model: 1 of the wrong shape "
            "('bn1.num_batches_tracked' holds floats)");
  bad["bn1.num_batches_tracked"] = Tensor{{2}, {}, {1, 2}, true};
  EXPECT_EQ(compare(bad, model).wrong_shape.size(), 1u);
}

TEST(StateDict, NamesTheFirstThreeOfMany) {
  ExpectedShapes many;
  for (int i = 0; i < 5; ++i) many[fmt::format("layer{}.weight", i)] = {1};
  EXPECT_EQ(mismatch({}, many),
            "w.safetensors: does not fit the model: 5 missing ('layer0.weight', 'layer1.weight', "
            "'layer2.weight', ...)");
  many.erase("layer3.weight");
  many.erase("layer4.weight");
  EXPECT_EQ(mismatch({}, many),
            "w.safetensors: does not fit the model: 3 missing ('layer0.weight', 'layer1.weight', "
            "'layer2.weight')");
}

}  // namespace
}  // namespace affuse
