// steps.csv and metrics.csv: appended rows, and what a resumed run keeps of them.
#include "apps/trainer/run_log.h"

#include <gtest/gtest.h>

#include "engine/error.h"
#include "engine/file.h"
#include "tests/data/scratch.h"

namespace affuse {
namespace {

using scratch::Folder;
using scratch::message;

TEST(CsvLog, RowsReachTheFileAtOnce) {
  const Folder folder;
  CsvLog log(folder / "s.csv", "step,loss", 0);
  EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n");
  log.add("1,0.5");
  EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n1,0.5\n");
  log.add("2,0.25");
  EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n1,0.5\n2,0.25\n");
}

TEST(CsvLog, KeepsTheRowsUpToTheCheckpoint) {
  const Folder folder;
  folder.write("s.csv", "step,loss\n8,a\n9,b\n10,c\n11,d\n");
  {
    CsvLog log(folder / "s.csv", "step,loss", 9);
    log.add("10,again");
  }
  EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n8,a\n9,b\n10,again\n");
  { const CsvLog log(folder / "s.csv", "step,loss", 0); }
  EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n");
}

TEST(CsvLog, DropsALineCutShortAndWhatIsNoRow) {
  const Folder folder;
  for (const char* torn : {"step,loss\n1,a\n2,b", "step,loss\n1,a\nx,y\n\n2", "step,loss\n1,a\n"}) {
    folder.write("s.csv", torn);
    { const CsvLog log(folder / "s.csv", "step,loss", 9); }
    EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n1,a\n") << torn;
  }
  for (const char* nothing : {"", "step,lo", "\n"}) {
    folder.write("s.csv", nothing);
    { const CsvLog log(folder / "s.csv", "step,loss", 9); }
    EXPECT_EQ(read_text(folder / "s.csv"), "step,loss\n") << nothing;
  }
}

TEST(CsvLog, NamesAFileThatCannotBeWritten) {
  const Folder folder;
  const std::string path = folder / "missing/s.csv";
  const std::string what = message<Error>([&] { CsvLog(path, "step", 0); });
  EXPECT_TRUE(what.starts_with(path)) << what;
}

}  // namespace
}  // namespace affuse
