// The include law, the sizes and the manners of this source tree; and that the checks can fail.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/house/house_rules.h"

namespace affuse::house {
namespace {

namespace fs = std::filesystem;

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = read_tree(AFFUSE_SOURCE_DIR);
  return files;
}

Complaints all_checks(const std::vector<SourceFile>& files) {
  Complaints out;
  for (const auto check : {check_includes, check_circles, check_sizes, check_manners}) {
    const Complaints some = check(files);
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

void expect_none(const Complaints& complaints) {
  EXPECT_TRUE(complaints.empty()) << fmt::format("{}", fmt::join(complaints, "\n"));
}

bool has(const std::string& path) {
  return std::any_of(tree().begin(), tree().end(),
                     [&](const SourceFile& file) { return file.path == path; });
}

TEST(House, IsRead) {
  for (const char* path :
       {"engine/program.h", "kernels/math/affect.h", "kernels/cpu/conv.cpp", "layers/resnet18.cpp",
        "data/loader.h", "weights/safetensors.h", "apps/cli.cpp", "tests/house/house_test.cpp"})
    EXPECT_TRUE(has(path)) << path;
}

TEST(House, EveryFolderHasAReadme) {
  for (const char* room : {"engine", "kernels", "layers", "data", "weights", "apps", "tests"})
    EXPECT_TRUE(has(fmt::format("{}/README.md", room))) << room;
}

TEST(House, IncludeLaw) { expect_none(check_includes(tree())); }
TEST(House, NoIncludeCircles) { expect_none(check_circles(tree())); }
TEST(House, Sizes) { expect_none(check_sizes(tree())); }
TEST(House, Manners) { expect_none(check_manners(tree())); }

TEST(HouseCode, DropsCommentsAndLiterals) {
  EXPECT_EQ(code_of("a // exit(1)\nb"), "a           \nb");
  EXPECT_EQ(code_of("/* x\n */ f(\"exit(\\\"1)\")"), "    \n    f(           )");
  EXPECT_EQ(code_of("R\"x(exit(\")x\" 1'000'000 '\"' c"), "R             1'000'000     c");
}

/// A file that breaks a rule, and what the complaint says.
struct Violation {
  const char* name;
  const char* path;
  std::string text;
  const char* complaint;
};

void PrintTo(const Violation& violation, std::ostream* out) { *out << violation.path; }

std::string header(const std::string& body) { return "// A header.\n#pragma once\n" + body; }

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "//\n";
  return text;
}

class HouseChecker : public testing::TestWithParam<Violation> {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "affuse_house_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    // A healthy tree of one file a room.
    plant("engine/error.h", header("#include <string>\n"));
    plant("kernels/graph.h", header("#include \"engine/error.h\"\n"));
    plant("kernels/cpu/conv.h", header("#include <dnnl.hpp>\n#include \"kernels/graph.h\"\n"));
    plant("layers/model.h", header("#include \"kernels/graph.h\"\n"));
    plant("apps/cli.cpp", "#include <CLI/CLI.hpp>\n#include \"layers/model.h\"\n");
    plant("tests/a_test.cpp", "#include \"kernels/cpu/conv.h\"\n#include <torch/torch.h>\n");
    plant("engine/README.md", lines(10));
    plant("data/limit.cpp", lines(400));
  }
  void TearDown() override { fs::remove_all(root_); }

  void plant(const std::string& path, const std::string& text) const {
    const fs::path target = root_ / path;
    fs::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << text;
  }

  fs::path root_;
};

TEST_P(HouseChecker, Complains) {
  expect_none(all_checks(read_tree(root_.string())));
  const Violation& violation = GetParam();
  plant(violation.path, violation.text);
  const Complaints complaints = all_checks(read_tree(root_.string()));
  ASSERT_EQ(complaints.size(), 1u) << fmt::format("{}", fmt::join(complaints, "\n"));
  EXPECT_EQ(complaints[0].substr(0, complaints[0].find(':')), violation.path);
  EXPECT_NE(complaints[0].find(violation.complaint), std::string::npos) << complaints[0];
}

INSTANTIATE_TEST_SUITE_P(
    Planted, HouseChecker,
    testing::Values(
        Violation{"UpTheStairs", "engine/x.cpp", "#include \"kernels/graph.h\"\n",
                  ":1: includes kernels/graph.h: engine may include engine"},
        Violation{"BackendInApps", "apps/x.cpp", "//\n#include \"kernels/cpu/conv.h\"\n",
                  ":2: includes kernels/cpu/conv.h: apps may"},
        Violation{"BackendInLayers", "layers/x.cpp", "#include \"kernels/cpu/conv.h\"\n",
                  "layers may include"},
        Violation{"LayersInData", "data/x.cpp", "#include \"layers/model.h\"\n",
                  "data may include data, engine, kernels/math"},
        Violation{"BackendInTheOther", "kernels/cuda/x.cpp", "#include \"kernels/cpu/conv.h\"\n",
                  "kernels/cuda may include"},
        Violation{"Vendor", "layers/x.cpp", "#include <dnnl.hpp>\n", "only kernels/cpu may"},
        Violation{"UnknownVendor", "data/x.cpp", "#include <boost/any.hpp>\n", "no room"},
        Violation{"TorchOutsideTests", "layers/x.cpp", "#include <torch/torch.h>\n", "no room"},
        Violation{"Missing", "engine/x.cpp", "#include \"engine/none.h\"\n", "no such file"},
        Violation{"Circle", "engine/error.h", header("#include \"engine/error.h\"\n"),
                  "engine/error.h -> engine/error.h"},
        Violation{"LongSource", "data/x.cpp", lines(401), "401 lines, at most 400"},
        Violation{"LongReadme", "data/README.md", lines(11), "11 lines, at most 10"},
        Violation{"UsingNamespace", "tests/x.cpp", "using namespace std;\n", ":1: using namespace"},
        Violation{"Macro", "apps/x.cpp", "#define X 1\n", "a macro"},
        Violation{"Ifdef", "layers/x.cpp", "#ifdef X\n#endif\n", "conditional compilation"},
        Violation{"Print", "data/x.cpp", "void f() {\n  std::cout << 1;\n}\n", ":2: a library"},
        Violation{"Printf", "weights/x.cpp", "void f() { printf(\"\"); }\n", "does not print"},
        Violation{"Exit", "engine/x.cpp", "void f() { std::exit(1); }\n", "does not end"},
        Violation{"NoComment", "engine/x.h", "#include <map>\n#pragma once\n", "without a comment"},
        Violation{"NoGuard", "engine/x.h", "// X.\n", "without #pragma once"}),
    [](const testing::TestParamInfo<Violation>& test) { return test.param.name; });

TEST(HouseCircles, AreFoundOverSeveralFiles) {
  const std::vector<SourceFile> files{{"engine/a.h", "#include \"engine/b.h\"\n"},
                                      {"engine/b.h", "#include \"engine/c.h\"\n"},
                                      {"engine/c.h", "#include \"engine/a.h\"\n"},
                                      {"engine/d.h", "#include \"engine/a.h\"\n"}};
  const Complaints complaints = check_circles(files);
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_NE(complaints[0].find("engine/a.h -> engine/b.h -> engine/c.h -> engine/a.h"),
            std::string::npos)
      << complaints[0];
}

}  // namespace
}  // namespace affuse::house
