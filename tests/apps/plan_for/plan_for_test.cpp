// `affuse info --plan-for`: the program of a GPU that is not here, its floor and its memory.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <regex>

#include <fmt/format.h>

#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

Outcome plan(const Folder& folder, const std::string& precision, const std::string& device) {
  return affuse(folder, {"info", AFFUSE_SOURCE_DIR "/configs/affectnet.json",
                         "train.precision=" + precision, "--plan-for", device});
}

// The number in front of `text`, in its first occurrence.
double number_before(const std::string& from, const std::string& text) {
  std::smatch match;
  const std::regex pattern("([0-9.]+) " + text);
  if (!std::regex_search(from, match, pattern)) return -1;
  return std::stod(match[1]);
}

struct Floor {
  const char *precision, *device;
  double images_per_second;  // of the roofline's plan with a fused stem, batch 256 at 224x224
};

void PrintTo(const Floor& f, std::ostream* out) { *out << f.precision << " on " << f.device; }

class PlanFor : public testing::TestWithParam<Floor> {};

TEST_P(PlanFor, AgreesWithTheRoofline) {
  const Floor f = GetParam();
  const Outcome got = plan(Folder(), f.precision, f.device);
  ASSERT_EQ(got.status, 0) << got.err;
  const auto line = got.out.find("at most ");
  ASSERT_NE(line, std::string::npos) << got.out;
  const double images = number_before(got.out.substr(line), "images/s");
  EXPECT_NEAR(images, f.images_per_second, .1 * f.images_per_second);
  std::cout << fmt::format("{} on {}: {:.0f} images/s at most, {:+.1f} % of the roofline's\n",
                           f.precision, f.device, images, 100 * (images / f.images_per_second - 1));
}

INSTANTIATE_TEST_SUITE_P(Devices, PlanFor,
                         testing::Values(Floor{"fp16", "sm90", 34283}, Floor{"bf16", "sm90", 34283},
                                         Floor{"fp16", "sm80", 15410}, Floor{"fp16", "sm75", 2032},
                                         Floor{"fp32", "sm75", 573}),
                         [](const auto& floor) {
                           return std::string(floor.param.precision) + "_" + floor.param.device;
                         });

TEST(PlanForMemory, Batch256FitsEightGigabytes) {
  for (const char* precision : {"fp16", "fp32"}) {
    const Outcome got = plan(Folder(), precision, "sm75");
    ASSERT_EQ(got.status, 0) << got.err;
    const double spare = number_before(got.out, "MiB to spare");
    EXPECT_GT(spare, 0) << got.out;
    std::cout << fmt::format("{} on sm75: {:.0f} MiB to spare\n", precision, spare);
  }
}

TEST(PlanForRefusals, NameWhatTheArchitectureLacks) {
  for (const char* precision : {"bf16", "tf32"}) {
    const Outcome got = plan(Folder(), precision, "sm75");
    complaint(got, 1);
    EXPECT_NE(got.err.find("sm_75"), std::string::npos) << got.err;
    EXPECT_NE(got.err.find("conv1 forward"), std::string::npos) << got.err;
    EXPECT_NE(got.err.find("train.precision=f"), std::string::npos) << got.err;
  }
}

TEST(PlanForRefusals, DevicesAndFiles) {
  const Folder folder;
  const auto refused = [&](const std::string& device, const std::string& why) {
    const Outcome got = plan(folder, "fp32", device);
    EXPECT_NE(complaint(got, 2).find(why), std::string::npos) << got.err;
  };
  const auto file = [&](const char* name, const std::string& text) {
    const std::string path = folder.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  };
  refused("sm42", "neither sm75, sm80 or sm90 nor a JSON file");
  refused(file("torn.json", "{\"deviceVer\": 90"), "no JSON");
  refused(file("list.json", "[1]"), "not an object");
  refused(file("empty.json", "{}"), "deviceVer");
  refused(file("slow.json", "{\"bytesPerSecond\": 0}"), "bytesPerSecond: not a number above 0");
}

}  // namespace
}  // namespace affuse::test
