// AffectNet's folders with broken annotation files, through the program.
#include "data/npy.h"
#include "tests/apps/folder_state.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;  // NOLINT(misc-unused-using-decls): it is used

/// A .npy file of version 1.0 around any header and data.
std::string npy(const std::string& descr, const std::string& shape, std::size_t data,
                const std::string& fortran = "False") {
  const std::string header =
      "{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + "}\n";
  return "\x93NUMPY\1\0"s + static_cast<char>(header.size()) + '\0' + header +
         std::string(data, '\0');
}

std::string value(const std::string& text) {
  const std::vector<std::uint8_t> bytes = npy_bytes(npy_string(text));
  return {bytes.begin(), bytes.end()};
}

struct BrokenNpy {
  std::string name, what;    ///< which of exp, val, aro
  std::string bytes, error;  ///< error: behind the file's name
};

std::vector<BrokenNpy> broken_files() {
  const std::string bad = ": bad .npy file: ";
  const std::string types = " is not supported (f4, f8, i1-i8, u1-u8, b1, U, S are)";
  return {
      {"Empty", "exp", "", bad + "the file is empty"},
      {"Text", "exp", "7\n", bad + "it does not start as a .npy file"},
      {"Version", "exp", "\x93NUMPY\x09\0\1\0{"s, bad + "version 9.0 is not known"},
      {"CutInHeader", "val", value("0.5").substr(0, 40), bad + "it is cut off in the header"},
      {"CutInData", "val", value("0.5").substr(0, 138),
       bad + "the header asks for 12 bytes of data, 10 are there"},
      {"Longer", "aro", npy("'<f4'", "()", 5),
       bad + "the header asks for 4 bytes of data, 5 are there"},
      {"Pickle", "exp", npy("'|O'", "()", 30),
       bad + "object arrays hold Python pickles; save with a numeric or string dtype"},
      {"Structured", "exp", npy("[('x', '<f4')]", "()", 4),
       bad + "structured arrays are not supported; save plain columns"},
      {"BigEndian", "val", npy("'>f4'", "()", 4),
       bad + "big-endian type '>f4'; save as little-endian"},
      {"Complex", "val", npy("'<c8'", "()", 8), bad + "type '<c8'" + types},
      {"Half", "val", npy("'<f2'", "()", 2), bad + "type '<f2'" + types},
      {"Fortran", "aro", npy("'<f4'", "(1, 1)", 4, "True"),
       bad + "Fortran order; save with numpy.ascontiguousarray"},
      {"TwoValues", "aro", npy("'<f4'", "(2,)", 8), ": shape (2) holds no single value"},
      {"NoValue", "aro", npy("'<f4'", "(0,)", 0), ": shape (0) holds no single value"},
      {"Huge", "aro", npy("'<f4'", "(4611686018427387905,)", 4), bad + "the shape is too large"},
      {"Class8", "exp", value("8"), ": expression 8 is none of 0..7"},
      {"ClassReal", "exp", value("1.5"), ": expression 1.5 is none of 0..7"},
      {"ClassName", "exp", value("happy"), ": element 0 is \"happy\", not a finite number"},
      {"ValenceOutside", "val", value("1.5"), ": 1.5 is outside [-1, 1] and not -2"},
      {"ValenceNan", "val", value("nan"), ": element 0 is \"nan\", not a finite number"},
  };
}

TEST(BrokenNpyFiles, StopTheRunWithTheirLine) {
  const Folder folder;
  draw_faces(folder, "affectnet_npy");
  write_config(folder, "affectnet_npy");
  const Arguments train = {"train", "c.json", "--out", "run"};
  const auto refused = [&](const std::string& line) {
    const auto before = state_of(folder, "run");
    const Outcome run = affuse(folder, train);
    EXPECT_EQ(complaint(run, 1), line);
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(state_of(folder, "run"), before);
    for (const auto& entry : fs::directory_iterator(folder / "run"))
      EXPECT_EQ(entry.path().filename(), "run.log") << "the run never began";
  };
  for (const BrokenNpy& broken : broken_files()) {
    SCOPED_TRACE(broken.name);
    const std::string file = "faces/train_set/annotations/5_" + broken.what + ".npy";
    const std::string good = read_text(folder / file);
    folder.write(file, broken.bytes);
    refused(file + broken.error);
    folder.write(file, good);
  }
  fs::remove(folder / "faces/val_set/annotations/3_aro.npy");
  refused("faces/val_set/annotations/3_aro.npy: cannot be opened: No such file or directory");
  fs::copy_file(folder / "faces/train_set/images/7.jpg", folder / "faces/train_set/images/07.png");
  refused("faces/train_set/images: '07.png' and '7.jpg' have the same id");
  fs::remove_all(folder / "faces/train_set");
  refused(
      "faces/train_set/images: cannot be listed: No such file or directory; data.root is the "
      "folder that holds train_set and val_set");
}

TEST(BrokenNpyFiles, GapsInTheIdsAreNone) {
  const Folder folder;
  draw_faces(folder, "affectnet_npy");
  write_config(folder, "affectnet_npy");
  for (const char* id : {"0", "41", "42", "95"}) {
    fs::remove(folder / "faces/train_set/images/" + std::string(id) + ".jpg");
  }
  const Outcome run = affuse(folder, {"train", "c.json", "--out", "run", "train.limit_batches=1"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "faces/train_set: 92 samples")) << run.err;
}

}  // namespace
}  // namespace affuse::test
