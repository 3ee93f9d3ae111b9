// Reads the tree; sizes and manners.
#include "tests/house/house_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include <fmt/format.h>

namespace affuse::house {
namespace {

namespace fs = std::filesystem;

constexpr std::array kRooms{"engine", "kernels", "layers", "data", "weights", "apps", "tests"};
constexpr long kMaxSourceLines = 400, kMaxReadmeLines = 10;

bool in_any(const std::string& path, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return path.starts_with(prefix); });
}

bool is_header(const std::string& path) { return path.ends_with(".h") || path.ends_with(".cuh"); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// A pattern that no line of code may match, except in some places.
struct Manner {
  std::regex pattern;
  std::vector<std::string> rooms;   ///< where it holds
  std::vector<std::string> exempt;  ///< where it does not
  const char* what;
};

const std::vector<Manner>& manners() {
  static const std::vector<std::string> everywhere{""};
  static const std::vector<std::string> libraries{"engine/", "kernels/", "layers/", "data/",
                                                  "weights/"};
  static const std::vector<Manner> table{
      // Formatted code indents what is inside functions and nothing inside namespaces.
      {std::regex(R"(^using namespace)"), everywhere, {}, "using namespace at namespace scope"},
      {std::regex(R"(^\s*#\s*define\b)"),
       everywhere,
       {"engine/host_device.h", "kernels/cuda/stream.h", "kernels/cuda/gpu.h",
        "kernels/cuda/emulation/language.h", "data/image_stb.cpp"},
       "a macro; write a function or a constant"},
      {std::regex(R"(^\s*#\s*(if|ifdef|ifndef)\b)"),
       {"layers/", "data/", "weights/", "apps/"},
       {},
       "conditional compilation above kernels/; link a stub"},
      {std::regex(R"(\b(v?f?printf|f?puts|putchar|perror)\s*\(|\bfmt::print\b)"
                  R"(|\bstd::(cout|cerr|clog)\b)"),
       libraries,
       {},
       "a library does not print; use engine/log.h"},
      {std::regex(R"(\b(exit|_exit|_Exit|quick_exit|abort)\s*\(|\bstd::terminate\b)"),
       libraries,
       {},
       "a library does not end the process; throw an error of engine/error.h"}};
  return table;
}

}  // namespace

std::vector<SourceFile> read_tree(const std::string& root) {
  static const std::set<std::string> kinds{".h", ".cpp", ".cu", ".cuh", ".py"};
  std::vector<SourceFile> files;
  for (const char* room : kRooms) {
    if (!fs::is_directory(fs::path(root) / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / room)) {
      if (!entry.is_regular_file()) continue;
      const fs::path& path = entry.path();
      if (!kinds.contains(path.extension().string()) && path.filename() != "README.md") continue;
      std::ifstream in(path, std::ios::binary);
      files.push_back({path.lexically_relative(root).generic_string(),
                       {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()}});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::string code_of(const std::string& text) {
  std::string out = text;
  const auto blank = [&](std::size_t begin, std::size_t end) {
    end = std::min(end, out.size());
    for (std::size_t i = begin; i < end; ++i)
      if (out[i] != '\n') out[i] = ' ';
    return end;
  };
  const auto after = [&](const std::string& mark, std::size_t from) {
    const std::size_t at = text.find(mark, from);
    return at == std::string::npos ? text.size() : at + mark.size();
  };
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i], before = i > 0 ? text[i - 1] : ' ';
    const bool in_word = std::isalnum(static_cast<unsigned char>(before)) != 0;
    if (text.compare(i, 2, "//") == 0) {
      i = blank(i, std::min(text.find('\n', i), text.size()));
    } else if (text.compare(i, 2, "/*") == 0) {
      i = blank(i, after("*/", i + 2));
    } else if (c == '"' && before == 'R') {
      const std::string mark = ")" + text.substr(i + 1, text.find('(', i) - i - 1) + "\"";
      i = blank(i, after(mark, i));
    } else if (c == '"' || (c == '\'' && !in_word)) {  // in a word: a digit separator
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != c && text[end] != '\n')
        end += text[end] == '\\' ? 2 : 1;
      i = blank(i, end + 1);
    } else {
      ++i;
    }
  }
  return out;
}

Complaints check_sizes(const std::vector<SourceFile>& files) {
  Complaints out;
  for (const SourceFile& file : files) {
    const long lines = std::count(file.text.begin(), file.text.end(), '\n');
    const long limit = file.path.ends_with(".md") ? kMaxReadmeLines : kMaxSourceLines;
    if (lines > limit)
      out.push_back(fmt::format("{}:{}: {} lines, at most {}", file.path, limit, lines, limit));
  }
  return out;
}

Complaints check_manners(const std::vector<SourceFile>& files) {
  Complaints out;
  for (const SourceFile& file : files) {
    if (file.path.ends_with(".md") || file.path.ends_with(".py")) continue;
    const std::vector<std::string> lines = lines_of(code_of(file.text));
    for (std::size_t i = 0; i < lines.size(); ++i)
      for (const Manner& manner : manners())
        if (in_any(file.path, manner.rooms) && !in_any(file.path, manner.exempt) &&
            std::regex_search(lines[i], manner.pattern))
          out.push_back(fmt::format("{}:{}: {}", file.path, i + 1, manner.what));
    if (!is_header(file.path)) continue;
    if (!file.text.starts_with("//"))
      out.push_back(fmt::format("{}:1: begins without a comment on what it is", file.path));
    if (file.text.find("\n#pragma once\n") == std::string::npos)
      out.push_back(fmt::format("{}:2: a header without #pragma once", file.path));
  }
  return out;
}

}  // namespace affuse::house
