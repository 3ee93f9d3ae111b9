// csv manifests: hostile files, ranges, the three ways to split.
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "data/manifest.h"
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

const vector<string> kAbc = {"a", "b", "c"};
const string kHead = "path,class,valence,arousal\n";
const string kSoft = "path,class,valence,arousal,p_0,p_1,p_2\n";

struct Hostile {
  string text, line, word;  // the message must hold "m.csv:LINE" and the word
};

const vector<Hostile> kHostile = {
    {"", "", "header"},
    {"path,class,valence\nx,0,0\n", "", "arousal"},
    {"path,class,valence,arousal,path\nx,0,0,0,x\n", "1", "path"},
    {"path,class,valence,arousal,\nx,0,0,0,x\n", "1", ""},
    {kHead + "x,0,0\n", "2", ""},
    {kHead + "x,0,0,0,0\n", "2", ""},
    {kHead + "x,0,0,0\n\"y,0,0,0\n", "3", ""},
    {kHead + string("x\0,0,0,0\n", 9), "2", ""},
    {kHead + ",0,0,0\n", "2", "path"},
    {kHead + "\"x\ny\",0,0,0\n", "2", "path"},
    {kHead + "x\ty,0,0,0\n", "2", "path"},
    {kHead + "x,3,0,0\n", "2", "class 3 is outside 0..2"},
    {kHead + "x,-1,0,0\n", "2", "class"},
    {kHead + "x,1.0,0,0\n", "2", "class"},
    {kHead + "x,+1,0,0\n", "2", "class"},
    {kHead + "x,A,0,0\n", "2", "one of a, b, c"},
    {kHead + "x,\"a\nb\",0,0\n", "2", "class"},
    {kHead + "x,99999999999999999999,0,0\n", "2", "class"},
    {kHead + "x,0,1.01,0\n", "2", "valence"},
    {kHead + "x,0,-2,0\n", "2", "valence"},
    {kHead + "x,0,0,-5\n", "2", "arousal"},
    {kHead + "x,0,0,nan\n", "2", "arousal"},
    {kHead + "x,0,inf,0\n", "2", "valence"},
    {kHead + "x,0,0,abc\n", "2", "arousal"},
    {kHead + "x,0,0.1.2,0\n", "2", "valence"},
    {kHead + "x,0,0x1,0\n", "2", "valence"},
    {kHead + "x,0,\"0\n1\",0\n", "2", "valence"},
    {"path,class,valence,arousal\r\nx,0,0,0\r\ny,0,0,0\r\nz,0,0,1e9\r\n", "4", "arousal"},
    {"path,class,valence,arousal,p_0,p_1\nx,0,0,0,1,0\n", "1", "p_0..p_2"},
    {"path,class,valence,arousal,p_0,p_1,p_2,p_3\nx,0,0,0,1,0,0,0\n", "1", "p_0..p_2"},
    {"path,class,valence,arousal,p_0,p_1,p_3\nx,0,0,0,1,0,0\n", "1", "p_0..p_2"},
    {kSoft + "x,0,0,0,.5,.2,.2\n", "2", "sum to 0.9"},
    {kSoft + "x,0,0,0,.5,-.1,.6\n", "2", "p_1"},
    {kSoft + "x,0,0,0,1.5,-.5,0\n", "2", "p_0"},
    {kSoft + "x,0,0,0,.5,.5,\n", "2", "p_2"},
    {kSoft + "x,0,0,0,.5,.5,nan\n", "2", "p_2"},
    {"path,class,valence,arousal,split\nx,0,0,0,dev\n", "2", "split"},
    {"path,class,valence,arousal,split\nx,0,0,0,train\ny,0,0,0,\n", "3", "split"},
};

TEST(SourceCsv, RefusesHostileManifestsInOneLineWithThePlace) {
  const Folder folder;
  for (const Hostile& h : kHostile) {
    SCOPED_TRACE(h.text);
    const string file = folder.write("m.csv", h.text);
    const string what = message<DataError>([&] { read_csv_manifest(file, kAbc); });
    EXPECT_NE(what.find("m.csv" + (h.line.empty() ? "" : ":" + h.line)), string::npos) << what;
    EXPECT_NE(what.find(h.word), string::npos) << what;
    EXPECT_EQ(what.find('\n'), string::npos) << what;
  }
  EXPECT_NE(
      message<DataError>([&] { read_csv_manifest(folder / "none.csv", kAbc); }).find("none.csv"),
      string::npos);
}

TEST(SourceCsv, ReadsNamesNumbersAndAbsentValues) {
  const Folder folder;
  const string file = folder.write("m.csv",
                                   "\xEF\xBB\xBF"
                                   "arousal,path,class,valence,subject\r\n"
                                   "-1,\"x, \"\"1\"\".jpg\",b,1,s1\r\n"
                                   ",/y.png,2,,\r\n"
                                   "0.25,z.jpg,,,s1\r\n");
  const Manifest m = read_csv_manifest(file, kAbc);
  ASSERT_EQ(m.samples.size(), 3u);
  EXPECT_EQ(m.root, folder.path());
  EXPECT_EQ(m.full_path(m.samples[0]), folder.path() + "/x, \"1\".jpg");
  EXPECT_EQ(m.samples[0].label, 1);
  EXPECT_EQ(m.samples[0].valence, 1);
  EXPECT_EQ(m.samples[0].arousal, -1);
  EXPECT_EQ(m.samples[0].subject, "s1");
  EXPECT_EQ(m.full_path(m.samples[1]), "/y.png");
  EXPECT_EQ(m.samples[1].label, 2);
  EXPECT_FALSE(m.samples[1].has_va());
  EXPECT_FALSE(m.samples[2].has_label());
  EXPECT_TRUE(std::isnan(m.samples[2].valence));
  EXPECT_EQ(m.samples[2].arousal, 0.25);
  EXPECT_EQ(read_csv_manifest(file, kAbc, "/faces").root, "/faces");
}

TEST(SourceCsv, NamesGoBeforeNumbers) {
  const Folder folder;
  const string file = folder.write("m.csv", kHead + "x,1,0,0\n");
  EXPECT_EQ(read_csv_manifest(file, {"1", "0"}).samples[0].label, 0);
}

TEST(SourceCsv, ReadsSoftLabelsInAnyColumnOrder) {
  const Folder folder;
  const string file =
      folder.write("m.csv",
                   "p_2,path,class,valence,arousal,p_0,p_1\n.7,x,0,0,0,.1,.2\n,y,0,0,0,,\n"
                   "1.0004,z,,,,0,0\n");
  const Manifest m = read_csv_manifest(file, kAbc);
  EXPECT_EQ(m.samples[0].soft, (vector<float>{.1f, .2f, .7f}));
  EXPECT_TRUE(m.samples[1].soft.empty());
  EXPECT_EQ(m.samples[2].soft.size(), 3u);
}

TEST(SourceCsv, FindsNumberedClassesWithoutNames) {
  const Folder folder;
  const Manifest m = read_csv_manifest(folder.write("m.csv", kHead + "x,4,0,0\ny,,0,0\nz,1,,\n"));
  EXPECT_EQ(m.classes, (vector<string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(read_csv_manifest(folder.write("s.csv", kSoft + "x,0,0,0,1,0,0\n")).classes.size(), 3u);
  const string soft = folder.write("t.csv", kSoft + "x,3,0,0,1,0,0\n");
  EXPECT_NE(message<DataError>([&] { read_csv_manifest(soft); }).find("t.csv:2"), string::npos);
  const string huge = folder.write("h.csv", kHead + "x,1000000,0,0\n");
  EXPECT_NE(message<DataError>([&] { read_csv_manifest(huge); }).find("h.csv:2"), string::npos);
}

vector<string> lines;
void keep(LogLevel, std::string_view line) { lines.emplace_back(line); }

/// Opens a csv and collects what it logs.
DataSplits open(const DataSource& source) {
  lines.clear();
  set_log_sink(keep);
  struct Restore {
    ~Restore() { set_log_sink(nullptr); }
  } restore;
  return open_data(source);
}

bool logged(const string& word) {
  for (const string& line : lines) {
    if (line.find(word) != string::npos) return true;
  }
  return false;
}

DataSource source_of(const string& train, const string& val = {}) {
  DataSource source;
  source.kind = "csv";
  source.train = train;
  source.val = val;
  source.classes = kAbc;
  return source;
}

TEST(SourceCsv, SplitsByColumnAndWarnsOfLeaksAndUnusedColumns) {
  const Folder folder;
  const string file = folder.write("m.csv",
                                   "path,class,valence,arousal,split,subject,subjet\n"
                                   "1,0,0,0,train,s,\n2,0,0,0,val,t,\n3,0,0,0,test,u,\n"
                                   "4,0,0,0,validation,s,\n1,0,0,0,valid,,\n5,0,0,0,train,,\n");
  const DataSplits splits = open(source_of(file));
  ASSERT_EQ(splits.train.samples.size(), 2u);
  ASSERT_EQ(splits.val.samples.size(), 3u);
  EXPECT_EQ(splits.val.samples[2].path, "1");
  EXPECT_EQ(splits.val.classes, kAbc);
  EXPECT_TRUE(logged("1 test rows"));
  EXPECT_TRUE(logged("1 images in training and validation"));
  EXPECT_TRUE(logged("1 subjects in training and validation"));
  EXPECT_TRUE(logged("'subjet' is not used"));
}

TEST(SourceCsv, SubjectsAreNeverOnBothSides) {
  const Folder folder;
  string text = "path,class,valence,arousal,subject\n";
  for (int i = 0; i < 500; ++i) {
    text += "f" + std::to_string(i) + ",0,0,0,s" + std::to_string(i * i % 50) + "\n";
  }
  DataSource source = source_of(folder.write("m.csv", text));
  std::set<std::set<string>> drawn;
  for (source.seed = 0; source.seed < 40; ++source.seed) {
    const DataSplits splits = open(source);
    std::set<string> train, val, paths;
    for (const Sample& s : splits.train.samples) train.insert(s.subject), paths.insert(s.path);
    for (const Sample& s : splits.val.samples) val.insert(s.subject), paths.insert(s.path);
    for (const string& s : val) EXPECT_FALSE(train.contains(s));
    const auto total = static_cast<double>(train.size() + val.size());
    EXPECT_EQ(val.size(), static_cast<std::size_t>(std::round(0.2 * total)));
    EXPECT_EQ(paths.size(), 500u);
    EXPECT_TRUE(lines.empty());
    drawn.insert(val);
  }
  EXPECT_GT(drawn.size(), 15u);
}

TEST(SourceCsv, OpensTwoFiles) {
  const Folder folder;
  const string train = folder.write("t.csv", kHead + "1,0,0,0\n2,c,0,0\n");
  const string val = folder.write("v/v.csv", kHead + "1,1,0,0\n");
  const DataSplits splits = open(source_of(train, val));
  EXPECT_EQ(splits.train.samples.size(), 2u);
  EXPECT_EQ(splits.val.samples.size(), 1u);
  EXPECT_EQ(splits.val.root, folder / "v");
  EXPECT_TRUE(lines.empty());  // the same name in another folder is another image
  open(source_of(train, train));
  EXPECT_TRUE(logged("2 images in training and validation"));
}

TEST(SourceCsv, RefusesSplitsThatCannotBe) {
  const Folder folder;
  const string one = folder.write("one.csv", kHead + "1,0,0,0\n");
  const string none = folder.write("none.csv", kHead);
  const string column = "path,class,valence,arousal,split\n";
  const string trains = folder.write("trains.csv", column + "1,0,0,0,train\n");
  const string vals = folder.write("vals.csv", column + "1,0,0,0,train\n2,0,0,0,val\n");
  const string subject = "path,class,valence,arousal,subject\n";
  const string single = folder.write("single.csv", subject + "1,0,0,0,s\n2,0,0,0,s\n");
  const string nameless = folder.write("nameless.csv", subject + "1,0,0,0,s\n2,0,0,0,\n");
  const auto refused = [&](const DataSource& source, const string& word) {
    const string what = message<DataError>([&] { open_data(source); });
    EXPECT_NE(what.find(word), string::npos) << what;
    EXPECT_EQ(what.find('\n'), string::npos) << what;
  };
  refused(source_of(one), "one.csv:1: nothing to split by");
  refused(source_of(one, none), "no sample for validation");
  refused(source_of(none, one), "no sample for training");
  refused(source_of(trains), "no sample for validation");
  refused(source_of(one, vals), "vals.csv:2: split");
  refused(source_of(vals, one), "vals.csv:3: split");
  refused(source_of(single), "at least 2 subjects");
  refused(source_of(nameless), "nameless.csv:3: subject");
  EXPECT_EQ(read_csv_manifest(nameless, kAbc).samples.size(), 2u);

  DataSource source = source_of(one);
  source.kind = "cvs";
  EXPECT_THROW(open_data(source), ConfigError);
  source = source_of(one);
  source.classes.clear();
  EXPECT_THROW(open_data(source), ConfigError);
}

}  // namespace
}  // namespace affuse
