// Broken manifests through the program, to train and to labels: exit status 1, one line that names
// file, row and column, nothing written.
#include "tests/apps/folder_state.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;  // NOLINT(misc-unused-using-decls): it is used

struct BrokenManifest {
  std::string name, text, error;  ///< error: behind "faces/m.csv:"
};

const std::string kHead = "path,class,valence,arousal\n";
const std::string kGood = "images/train/0.jpg,Happy,0.5,0.1\n";
const std::string kRow = "images/train/1.jpg,";  // line 3
const std::string kClasses = "one of Neutral, Happy, Sad, Surprise, Fear, Disgust, Anger, Contempt";
const std::string kSoftHead = "path,class,valence,arousal,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7\n";
const std::string kSoftGood = "images/train/0.jpg,Happy,0.5,0.1,0,1,0,0,0,0,0,0\n";

std::string plain(const std::string& cells) { return kHead + kGood + kRow + cells + "\n"; }
std::string soft(const std::string& cells) {
  return kSoftHead + kSoftGood + kRow + "Sad,0,0," + cells + "\n";
}

std::vector<BrokenManifest> broken_headers() {
  return {
      {"Empty", "", "1: no header line"},
      {"OnlyLineEnds", "\n\r\n\n", "1: no header line"},
      {"NoHeader", kGood,
       "1: no column 'path' in the header; it has 'images/train/0.jpg', "
       "'Happy', '0.5', '0.1'"},
      {"NoClass", "path,valence,arousal\nx,0,0\n",
       "1: no column 'class' in the header; it has 'path', 'valence', 'arousal'"},
      {"Spaces", "path, class, valence, arousal\nx,1,0,0\n",
       "1: no column 'class' in the header; it has 'path', ' class', ' valence', ' arousal'"},
      {"Semicolons", "path;class;valence;arousal\nx;1;0;0\n",
       "1: no column 'path' in the header; separate columns with commas, not as in "
       "'path;class;valence;arousal'"},
      {"ColumnTwice", "path,class,valence,arousal,class\nx,1,0,0,1\n",
       "1: column 'class' stands twice in the header"},
      {"ColumnTwiceInTwoLines", "path,\"a\nb\",\"a\nb\"\n",
       "1: column 'a?b' stands twice in the header"},
      {"ColumnWithoutName", "path,class,valence,arousal,\nx,1,0,0,\n",
       "1: column 5 has no name in the header"},
      {"Utf16", "\xFF\xFEp\0a\0"s, "1: the text is UTF-16; save it as UTF-8"},
      {"Image", "\xFF\xD8\xFF\xE0\0\x10JFIF\0"s, "1: a NUL byte; this is not a text file"},
      {"SoftTooFew", "path,class,valence,arousal,p_0,p_1\nx,1,0,0,1,0\n",
       "1: 2 columns p_k found, p_0..p_7 are needed for 8 classes"},
      {"SoftWithHole", "path,class,valence,arousal,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_8\n",
       "1: 8 columns p_k found, p_0..p_7 are needed for 8 classes"},
  };
}

std::vector<BrokenManifest> broken_rows() {
  const std::string absent = " is outside [-1, 1]; leave an absent value empty";
  return {
      {"TooFewCells", plain("1,0"), "3: the row has 3 fields, the header has 4"},
      {"TooManyCells", plain("1,0,0,0"), "3: the row has 5 fields, the header has 4"},
      {"UnknownClass", plain("Bored,0,0"), "3: class: 'Bored' is no class; write " + kClasses},
      {"ClassCase", plain("happy,0,0"), "3: class: 'happy' is no class; write " + kClasses},
      {"ClassOutside", plain("8,0,0"), "3: class: class 8 is outside 0..7"},
      {"ClassNegative", plain("-1,0,0"), "3: class: class -1 is outside 0..7"},
      {"ClassReal", plain("1.0,0,0"), "3: class: '1.0' is no class; write " + kClasses},
      {"ValenceAbove", plain("1,1.01,0"), "3: valence: 1.01" + absent},
      {"ValenceMissingCode", plain("1,-2,0"), "3: valence: -2" + absent},
      {"ArousalBelow", plain("1,0,-5"), "3: arousal: -5" + absent},
      {"ValenceNan", plain("1,nan,0"), "3: valence: \"nan\" is not a finite number"},
      {"ArousalInfinite", plain("1,0,-inf"), "3: arousal: \"-inf\" is not a finite number"},
      {"ArousalText", plain("1,0,high"), "3: arousal: \"high\" is not a finite number"},
      {"DecimalComma", plain("1,\"0,5\",0"), "3: valence: \"0,5\" is not a finite number"},
      {"PathEmpty", kHead + kGood + ",1,0,0\n", "3: path: is empty; name the image"},
      {"PathWithNewline", kHead + kGood + "\"a\nb\",1,0,0\n",
       "3: path: 'a?b' holds a control character"},
      {"PathOfTenMegabytes", kHead + kGood + std::string(10'000'000, 'x') + ",1,0,0\n",
       "3: path: is 10000000 bytes long; a path has at most 4096"},
      {"ClassOfTenMegabytes", plain(std::string(10'000'000, 'x') + ",0,0"),
       "3: class: '" + std::string(120, 'x') + "...' is no class; write " + kClasses},
      {"QuoteOpen", plain("\"Sad,0,0"), "3: a quote is opened here and never closed"},
      {"QuoteInside", plain("Sa\"d,0,0"),
       "3: a quote inside an unquoted field; quote the field and double the quote"},
      {"QuoteThenText", plain("\"Sad\"x,0,0"), "3: text after a closing quote"},
      {"NulByte", plain("Sad,0,0\0"s), "3: a NUL byte; this is not a text file"},
      {"OldMacLines", "path,class,valence,arousal\rx,1,0,0\r",
       "1: a carriage return without a line feed"},
      {"LineOfManyLines", kHead + "\"images/train/0\n\n.jpg\",1,0,0\n",
       "2: path: 'images/train/0??.jpg' holds a control character"},
      {"CarriageReturnsCount", "path,class,valence,arousal\r\nx,1,0,0\r\ny,1,0,9\r\n",
       "3: arousal: 9" + absent},
      {"SoftSum", soft(".5,.2,.2,0,0,0,0,0"), "3: p_0: the row's p_k sum to 0.9, not 1"},
      {"SoftNegative", soft(".5,-.1,.6,0,0,0,0,0"), "3: p_1: -0.1 is no probability"},
      {"SoftMissing", soft(".5,.5,,0,0,0,0,0"),
       "3: p_2: is empty, but other p_k of the row are not"},
      {"SoftNan", soft("nan,1,0,0,0,0,0,0"), "3: p_0: \"nan\" is not a finite number"},
  };
}

class BrokenManifests : public testing::Test {
 protected:
  void SetUp() override {
    draw_faces(folder_, "csv");
    write_config(folder_, "csv");
  }
  /// One line, exit status 1 and the folder as it was but for the traces of a run that never began.
  void expect_refused(const Arguments& arguments, const std::string& line) {
    const auto before = state_of(folder_, "run/");
    const Outcome run = affuse(folder_, arguments);
    EXPECT_EQ(complaint(run, 1), line);
    EXPECT_EQ(run.out, "");
    fs::remove(folder_ / "run/run.log");
    EXPECT_TRUE(!fs::exists(folder_ / "run") || fs::is_empty(folder_ / "run"));
    fs::remove(folder_ / "run");
    EXPECT_EQ(state_of(folder_, "run/"), before);
  }
  const Folder folder_;
  const Arguments train_ = {"train", "c.json", "data.train=faces/m.csv", "--out", "run"};
};

TEST_F(BrokenManifests, GiveTheirLineToTrainAndToLabels) {
  std::vector<BrokenManifest> rows = broken_headers();
  for (const BrokenManifest& row : broken_rows()) rows.push_back(row);
  EXPECT_GE(rows.size(), 40u);
  for (const BrokenManifest& row : rows) {
    SCOPED_TRACE(row.name);
    folder_.write("faces/m.csv", row.text);
    expect_refused(train_, "faces/m.csv:" + row.error);
    expect_refused({"labels", "--manifest", "faces/m.csv", "--config", "c.json", "--out", "labels"},
                   "faces/m.csv:" + row.error);
  }
}

TEST_F(BrokenManifests, FilesAndHalvesThatAreMissing) {
  folder_.write("faces/m.csv", kHead);
  expect_refused(train_, "faces/m.csv: no sample for training");
  expect_refused({"labels", "--manifest", "faces/m.csv"},
                 "faces/m.csv: no samples below the header line");
  folder_.write("faces/m.csv", kHead + kGood);
  const std::string gone = ": cannot be opened: No such file or directory";
  expect_refused({"train", "c.json", "--out", "run", "data.train=no.csv"}, "no.csv" + gone);
  expect_refused({"train", "c.json", "--out", "run", "data.val=no.csv"}, "no.csv" + gone);
  expect_refused({"labels", "--manifest", "faces"}, "faces: is a folder, not a file");
  expect_refused({"train", "c.json", "--out", "run", "data.train=faces/m.csv",
                  "data.val=", "data.split.by=split"},
                 "faces/m.csv:1: nothing to split by; add a column split or subject, or set "
                 "data.val");
}

TEST_F(BrokenManifests, AnotherManifestDoesNotCostTheRunThatWasThere) {
  affuse_ok(folder_, {"train", "c.json", "--out", "run", "train.limit_batches=1"});
  const auto before = state_of(folder_, "run/run.log");
  folder_.write("faces/m.csv", plain("Bored,0,0"));
  Arguments again = train_;
  again.emplace_back("--overwrite");
  complaint(affuse(folder_, again), 1);
  fs::remove(folder_ / "faces/m.csv");
  EXPECT_EQ(state_of(folder_, "run/run.log"), before);
}

/// What looks odd and is meant: BOM, CRLF, quotes, any order of columns, absent values, a path
/// twice (the user is told), paths that leave the folder.
TEST_F(BrokenManifests, OddOnesAreRead) {
  fs::copy_file(folder_ / "faces/images/train/0.jpg", folder_ / "outside.jpg");
  std::string text = "\xEF\xBB\xBF\"class\",arousal,valence,path,note\r\n";
  for (int i = 0; i < 40; ++i)
    text += "\"Happy\",0." + std::to_string(10 + i) + ",0.5,images/train/" + std::to_string(i) +
            ".jpg,\"a \"\"note\"\"\nof two lines\"\r\n";
  text +=
      ",,,images/train/0.jpg,\r\nSad,,,../outside.jpg,\r\nSad,-0.1,-0.5,images/../images/train/"
      "7.jpg,";
  folder_.write("faces/m.csv", text);
  Arguments arguments = train_;
  arguments.insert(arguments.end(), {"train.epochs=1", "label_model.kind=onehot"});
  const Outcome run = affuse(folder_, arguments);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "warning: faces/m.csv:1: column 'note' is not used\n")) << run.err;
  EXPECT_TRUE(contains(run.err,
                       "warning: faces/m.csv:82: path: 'images/train/0.jpg' stands on "
                       "line 2 already; rows that repeat a path: 1, each a sample of its "
                       "own\n"))
      << run.err;
  EXPECT_TRUE(contains(run.err, "data: 43 training")) << run.err;
}

}  // namespace
}  // namespace affuse::test
