// The include law: rooms, vendor headers, circles.
#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include <fmt/format.h>

#include "tests/house/house_rules.h"

namespace affuse::house {
namespace {

struct Include {
  int line;
  std::string target;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex pattern(R"re(^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"])re");
  std::vector<Include> out;
  int line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string current = text.substr(begin, end - begin);
    ++line;
    if (std::smatch match; std::regex_search(current, match, pattern))
      out.push_back({line, match[1]});
    begin = end + 1;
  }
  return out;
}

/// "kernels/cpu" for kernels/cpu/conv.h; the first folder elsewhere; "" for what is in no room.
std::string room_of(const std::string& path) {
  static const std::set<std::string> rooms{"engine", "layers", "data", "weights", "apps", "tests"};
  for (const char* room : {"kernels/cpu", "kernels/cuda", "kernels/math"})
    if (path.starts_with(std::string(room) + "/")) return room;
  const std::size_t slash = path.find('/');
  const std::string first = slash == std::string::npos ? "" : path.substr(0, slash);
  return first == "kernels" || rooms.contains(first) ? first : "";
}

/// What a room may include: whole rooms, or single headers. tests may include everything.
const std::map<std::string, std::set<std::string>>& law() {
  static const std::map<std::string, std::set<std::string>> table{
      {"engine", {"engine"}},
      {"kernels/math", {"kernels/math", "engine"}},
      {"kernels", {"kernels", "kernels/math", "engine"}},
      {"kernels/cpu", {"kernels/cpu", "kernels", "kernels/math", "engine"}},
      {"kernels/cuda", {"kernels/cuda", "kernels", "kernels/math", "engine"}},
      {"layers", {"layers", "kernels/ops.h", "kernels/graph.h", "kernels/backend.h", "engine"}},
      {"data", {"data", "kernels/math", "engine"}},
      {"weights", {"weights", "kernels/graph.h", "engine"}},
      {"apps", {"apps", "layers", "data", "weights", "kernels", "kernels/math", "engine"}}};
  return table;
}

struct Vendor {
  const char* prefix;
  std::set<std::string> rooms;
};

/// Headers of the system and of libraries, with the rooms that may include them. Debian installs
/// all of them in one folder, so the linker's targets alone do not keep them out.
const std::vector<Vendor>& vendors() {
  static const std::set<std::string> system{"engine", "data", "weights", "apps"};
  static const std::vector<Vendor> table{
      {"fcntl.h", system},
      {"unistd.h", system},
      {"sys/mman.h", {"engine", "data", "weights", "apps", "kernels/cuda"}},
      {"sys/", system},
      {"netdb.h", {"engine"}},
      {"netinet/", {"engine"}},
      {"poll.h", {"engine"}},
      {"nmmintrin.h", {"engine"}},
      {"immintrin.h", {"kernels/cpu"}},
      {"omp.h", {"kernels/cpu"}},
      {"dnnl", {"kernels/cpu"}},
      {"mpi.h", {"kernels/cpu"}},
      {"cuda", {"kernels/cuda"}},
      {"cudnn", {"kernels/cuda"}},
      {"cublas", {"kernels/cuda"}},
      {"nccl.h", {"kernels/cuda"}},
      {"nvtx3/", {"kernels/cuda"}},
      {"ucontext.h", {"kernels/cuda"}},
      {"sanitizer/", {"kernels/cuda"}},
      {"fmt/",
       {"engine", "kernels", "kernels/cpu", "kernels/cuda", "layers", "data", "weights", "apps"}},
      {"nlohmann/", {"data", "weights", "apps"}},
      {"CLI/", {"apps"}},
      {"jpeglib.h", {"data"}},
      {"jerror.h", {"data"}},
      {"stb_image", {"data"}}};
  return table;
}

/// Why `room` may not include `target`, or nothing.
std::string refusal(const std::string& room, const std::string& target) {
  if (room == "tests") return "";
  if (const std::string other = room_of(target); !other.empty()) {
    const std::set<std::string>& allowed = law().at(room);
    if (allowed.contains(other) || allowed.contains(target)) return "";
    return fmt::format("{} may include {}", room, fmt::join(allowed, ", "));
  }
  if (target.find_first_of("./") == std::string::npos) return "";  // the standard library
  for (const Vendor& vendor : vendors())
    if (target.starts_with(vendor.prefix))
      return vendor.rooms.contains(room)
                 ? ""
                 : fmt::format("only {} may", fmt::join(vendor.rooms, ", "));
  return "a header that no room of tests/house/house_includes.cpp may include";
}

bool is_source(const SourceFile& file) { return !file.path.ends_with(".md"); }

using Edges = std::map<std::string, std::vector<std::string>>;

/// Depth-first from `node`; `trail` are the files on the way to it.
void walk(const Edges& edges, const std::string& node, std::vector<std::string>& trail,
          std::set<std::string>& done, Complaints& out) {
  const auto seen = std::find(trail.begin(), trail.end(), node);
  if (seen != trail.end()) {
    out.push_back(fmt::format("{}: an include circle: {} -> {}", node,
                              fmt::join(seen, trail.end(), " -> "), node));
    return;
  }
  const auto found = edges.find(node);
  if (found == edges.end() || done.contains(node)) return;
  trail.push_back(node);
  for (const std::string& next : found->second) walk(edges, next, trail, done, out);
  trail.pop_back();
  done.insert(node);
}

}  // namespace

Complaints check_includes(const std::vector<SourceFile>& files) {
  std::set<std::string> known;
  for (const SourceFile& file : files) known.insert(file.path);
  Complaints out;
  for (const SourceFile& file : files) {
    if (!is_source(file) || file.path.ends_with(".py")) continue;
    for (const Include& include : includes_of(file.text)) {
      std::string why = refusal(room_of(file.path), include.target);
      if (why.empty() && !room_of(include.target).empty() && !known.contains(include.target))
        why = "there is no such file; include paths begin at the root";
      if (!why.empty())
        out.push_back(
            fmt::format("{}:{}: includes {}: {}", file.path, include.line, include.target, why));
    }
  }
  return out;
}

Complaints check_circles(const std::vector<SourceFile>& files) {
  Edges edges;
  for (const SourceFile& file : files)
    for (const Include& include : includes_of(file.text))
      edges[file.path].push_back(include.target);
  Complaints out;
  std::vector<std::string> trail;
  std::set<std::string> done;
  for (const auto& [path, targets] : edges) walk(edges, path, trail, done, out);
  return out;
}

}  // namespace affuse::house
