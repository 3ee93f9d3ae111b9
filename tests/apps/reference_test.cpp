// `affuse labels` and `affuse metrics` on 10,000 random rows against double-precision numpy.
#include <cstdlib>

#include "tests/apps/run_affuse.h"

namespace affuse::test {
namespace {

/// Output of reference_measures.py MODE FOLDER; status 0 is expected.
std::string reference(const std::string& mode, const Folder& folder) {
  const std::string log = folder / ".reference";
  const std::string command = "OPENBLAS_NUM_THREADS=1 /usr/bin/python3 '" AFFUSE_SOURCE_DIR
                              "/tests/apps/reference_measures.py' " +
                              mode + " '" + folder.path() + "' > '" + log + "' 2>&1";
  const int status = std::system(command.c_str());
  const std::string text = read_text(log);
  EXPECT_EQ(status, 0) << mode << " failed (it needs the package python3-numpy):\n" << text;
  return text;
}

TEST(Reference, LabelsAndMetricsAgreeTo1e9) {
  const Folder folder;
  reference("make", folder);
  folder.write("metrics.json", affuse_ok(folder, {"metrics", "predictions.csv", "--json"}));
  folder.write("c.json", R"({"data": {"kind": "csv", "train": "manifest.csv", "val": "manifest.csv",
      "classes": ["0", "1", "2", "3", "4", "5", "6", "7"]}})");
  const std::vector<Arguments> variants = {
      {"label_model.kind=gmm"},
      {"label_model.kind=euclid", "label_model.euclid_power=1", "fusion.alpha=0.3"},
      {"label_model.kind=noise_aware", "label_model.noise=full", "fusion.alpha=0.25"}};
  for (const Arguments& overrides : variants) {
    Arguments arguments = {"labels", "--config", "c.json", "--out", "."};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    affuse_ok(folder, arguments);
    const std::string text = reference("check", folder);
    EXPECT_TRUE(contains(text, "p_fused")) << text;
    const std::size_t line = text.starts_with("EM") ? text.find('\n') + 1 : 0;
    std::cout << overrides.front() << ": largest difference "
              << text.substr(line, text.find('\n', line) - line) << "\n";
  }
  // Without a configuration the classes are the numbers of the file: the paper's model.
  affuse_ok(folder, {"labels", "--manifest", "manifest.csv", "--classes", "8", "--out", "."});
  reference("check", folder);
}

}  // namespace
}  // namespace affuse::test
