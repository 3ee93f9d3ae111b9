// docs/config.schema.json as an editor uses it: it accepts what affuse accepts, and refuses of the
// wrong configurations what a schema can.
#include <cstdlib>
#include <sstream>

#include "tests/apps/run_affuse.h"
#include "tests/apps/wrong_json.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

/// The verdict on each file.
std::vector<std::string> verdicts(const Folder& folder, const Arguments& files) {
  const std::string log = folder / ".schema";
  std::string command =
      "/usr/bin/python3 '" AFFUSE_SOURCE_DIR "/tests/apps/check_schema.py' '" AFFUSE_SOURCE_DIR
      "/docs/config.schema.json'";
  for (const std::string& file : files) command += " '" + file + "'";
  EXPECT_EQ(std::system((command + " > '" + log + "' 2>&1").c_str()), 0)
      << "check_schema.py failed (it needs the package python3-jsonschema):\n"
      << read_text(log);
  std::istringstream lines(read_text(log));
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  out.resize(files.size());
  return out;
}

const char* word(SchemaSays verdict) {
  return verdict == SchemaSays::refuses   ? "refuses"
         : verdict == SchemaSays::accepts ? "accepts"
                                          : "no_json";
}

TEST(ConfigSchema, AcceptsEveryShippedConfigurationRawAndPrinted) {
  const Folder folder;
  Arguments files;
  for (const auto& entry : fs::directory_iterator(AFFUSE_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".json") continue;
    files.push_back(entry.path());
    const std::string printed = affuse_ok(folder, {"train", entry.path(), "--print-config"});
    files.push_back(folder.write(entry.path().filename().string(), printed));
  }
  EXPECT_GE(files.size(), 6u);
  EXPECT_EQ(verdicts(folder, files), Arguments(files.size(), "accepts"));
}

// What it cannot see: duplicate keys, 1.0 for an integer (JSON Schema has one kind of number), keys
// against each other, what output.dir and output.name may be. A broken file is the editor's own
// JSON parser's to refuse.
TEST(ConfigSchema, RefusesOfTheWrongConfigurationsWhatASchemaCan) {
  const Folder folder;
  std::vector<WrongConfig> rows = kWrongValues;
  for (const auto& more : {kWrongTogether, wrong_syntax(), wrong_encodings()})
    rows.insert(rows.end(), more.begin(), more.end());
  Arguments files;
  for (const WrongConfig& row : rows) files.push_back(folder.write(row.name + ".json", row.text));
  const std::vector<std::string> found = verdicts(folder, files);
  int refused = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(found[i], word(rows[i].schema)) << rows[i].name;
    refused += rows[i].schema == SchemaSays::refuses;
  }
  EXPECT_GE(refused, 60);
}

}  // namespace
}  // namespace affuse::test
