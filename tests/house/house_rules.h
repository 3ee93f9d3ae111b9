// The rules of the house as checks over a source tree: who may include whom, sizes, manners.
#pragma once
#include <string>
#include <vector>

namespace affuse::house {

/// A source file or folder README; `path` is relative to the root, with '/'.
struct SourceFile {
  std::string path;
  std::string text;
};

/// Sources (.h .cpp .cu .cuh .py) and README.md of every room under `root`, in order of path.
std::vector<SourceFile> read_tree(const std::string& root);

/// Every check returns its complaints, "path:line: what is wrong", none for a good tree.
using Complaints = std::vector<std::string>;

/// Includes outside what the room may include, vendor headers outside their rooms, project headers
/// that do not exist.
Complaints check_includes(const std::vector<SourceFile>& files);
/// Headers that include each other in a circle.
Complaints check_circles(const std::vector<SourceFile>& files);
/// Sources above 400 lines, folder READMEs above 10.
Complaints check_sizes(const std::vector<SourceFile>& files);
/// Manners: `using namespace` at namespace scope, macros and #if outside the rooms that may,
/// printing or ending the process in a library, headers without a guard or a first comment.
Complaints check_manners(const std::vector<SourceFile>& files);

/// Comments and the contents of literals replaced by spaces; lines stay where they are.
std::string code_of(const std::string& text);

}  // namespace affuse::house
