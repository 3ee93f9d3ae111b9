// Augmentation against torchvision itself: runs augment_reference.py, compares every value.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "gtest/gtest.h"
#include "kernels/cpu/augment.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

/// Reads consecutive values of a file's bytes.
class Reader {
 public:
  explicit Reader(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
  }
  template <class T>
  std::vector<T> take(std::size_t count) {
    std::vector<T> out(count);
    if (at_ + count * sizeof(T) > bytes_.size()) throw std::runtime_error("the file ends early");
    std::memcpy(out.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return out;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::vector<char> bytes_;
  std::size_t at_ = 0;
};

math::AugmentParams params_of(const std::vector<double>& d, bool affine) {
  math::AugmentParams p;
  p.flip = d[0] != 0;
  if (affine) p.inverse = math::inverse_affine(d[1], d[2], d[3], d[4], d[5], d[6]);
  p.brightness = static_cast<float>(d[7]);
  p.contrast = static_cast<float>(d[8]);
  p.saturation = static_cast<float>(d[9]);
  p.hue = static_cast<float>(d[10]);
  for (int i = 0, code = static_cast<int>(d[11]); i < math::kJitters; ++i, code /= 4)
    p.order[i] = static_cast<math::Jitter>(code % 4);
  p.erase_top = static_cast<std::int32_t>(d[12]);
  p.erase_left = static_cast<std::int32_t>(d[13]);
  p.erase_height = static_cast<std::int32_t>(d[14]);
  p.erase_width = static_cast<std::int32_t>(d[15]);
  return p;
}

/// Largest differences over a case, in units of the [0, 1] image.
struct Difference {
  double ours = 0;   ///< this program (float) against torchvision in double
  double torch = 0;  ///< torchvision in float against itself in double
};

Difference compare(const fs::path& path) {
  constexpr cpu::Normalisation norm{{.485f, .456f, .406f}, {.229f, .224f, .225f}};
  Reader file(path);
  const auto shape = file.take<std::int32_t>(3);
  const auto n = static_cast<std::size_t>(shape[0]);
  const auto pixels = static_cast<std::size_t>(shape[1]) * static_cast<std::size_t>(shape[2]);
  const std::string name = path.filename().string();
  const bool affine = name.starts_with("affine") || name.starts_with("all");
  std::vector<math::AugmentParams> params;
  for (std::size_t i = 0; i < n; ++i) params.push_back(params_of(file.take<double>(16), affine));
  const auto images = file.take<std::uint8_t>(n * pixels * 3);
  const auto expected = file.take<double>(n * pixels * 3);
  const auto in_float = file.take<float>(n * pixels * 3);
  EXPECT_TRUE(file.at_end()) << path;
  std::vector<float> got(images.size());
  std::vector<std::byte> scratch(cpu::augment_scratch_bytes(shape[1], shape[2], 2));
  cpu::augment_batch(images.data(), params.data(), {shape[0], shape[0], shape[1], shape[2]}, norm,
                     cpu::DstLayout::nchw, got.data(), scratch);
  Difference worst;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double unit = double{norm.std[i / pixels % 3]};
    EXPECT_TRUE(std::isfinite(got[i])) << path << " value " << i;
    worst.ours = std::max(worst.ours, std::abs(got[i] - expected[i]) * unit);
    worst.torch = std::max(worst.torch, std::abs(double{in_float[i]} - expected[i]) * unit);
  }
  return worst;
}

TEST(AugmentParity, EqualsTorchvision) {
  const fs::path folder =
      fs::path(testing::TempDir()) / ("augment_parity_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string command = "/usr/bin/python3 '" AFFUSE_SOURCE_DIR
                              "/tests/parity/augment_reference.py' '" +
                              folder.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0)
      << "augment_reference.py failed; it needs the package python3-torchvision";
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().stem().string();
    const Difference worst = compare(entry.path());
    RecordProperty(name, std::to_string(worst.ours));
    // Positions of an affine sample carry the float rounding of a coordinate, for torchvision too.
    const bool affine = name.starts_with("affine") || name.starts_with("all");
    EXPECT_LE(worst.ours, affine ? 2e-5 : 5e-6)
        << name << "; torchvision in float: " << worst.torch;
    ++files;
  }
  EXPECT_EQ(files, 30);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace affuse
