// A Config as JSON, and two of them compared.
#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/config/table.h"

namespace affuse {
namespace {

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t dot; (dot = path.find('.')) != path.npos; path.remove_prefix(dot + 1)) {
    parts.push_back(path.substr(0, dot));
  }
  parts.push_back(path);
  return parts;
}

/// Writes objects member by member and closes them as the path moves on.
class Printer {
 public:
  void value(std::string_view path, const std::string& json) {
    const std::vector<std::string_view> parts = parts_of(path);
    std::size_t common = 0;
    while (common < open_.size() && common + 1 < parts.size() && open_[common] == parts[common]) {
      ++common;
    }
    close_to(common);
    while (open_.size() + 1 < parts.size()) {
      const std::string_view name = parts[open_.size()];
      begin_member();
      out_ += json_quoted(name) + ": {";
      open_.emplace_back(name);
      first_ = true;
    }
    begin_member();
    out_ += fmt::format("{}: {}", json_quoted(parts.back()), json);
  }
  std::string finish() {
    close_to(0);
    return out_ + "\n}\n";
  }

 private:
  void begin_member() {
    out_ += first_ ? "\n" : ",\n";
    out_.append(2 * (open_.size() + 1), ' ');
    first_ = false;
  }
  void close_to(std::size_t depth) {
    while (open_.size() > depth) {
      out_ += "\n";
      out_.append(2 * open_.size(), ' ');
      out_ += "}";
      open_.pop_back();
      first_ = false;
    }
  }

  std::string out_ = "{";
  std::vector<std::string> open_;
  bool first_ = true;
};

/// The contract's list of what may change when a run goes on.
bool may_change(std::string_view path) {
  return path == "train.epochs" || path == "train.device" || path == "train.threads" ||
         path == "data.workers" || path.starts_with("output.");
}

}  // namespace

std::string print_config(const Config& config,
                         const std::vector<std::pair<std::string, std::string>>& versions) {
  Printer printer;
  for (const auto& [name, version] : versions) {
    printer.value("versions." + name, json_quoted(version));
  }
  for (const ConfigRow& row : config_rows()) printer.value(row.path, row.json(config));
  return printer.finish();
}

std::vector<std::string> compare_for_resume(const Config& run, const Config& next) {
  const Config now = continue_config(run, next);
  std::vector<std::string> refused;
  for (const ConfigRow& row : config_rows()) {
    const std::string was = row.json(run), is = row.json(now);
    if (was == is || may_change(row.path)) continue;
    refused.push_back(
        fmt::format("{}: {} in the run, {} now; a resumed run keeps it, so take the old value or "
                    "start a new run",
                    row.path, was, is));
  }
  if (now.train.epochs < run.train.epochs) {
    refused.push_back(
        fmt::format("train.epochs: {} in the run, {} now; a resumed run may only have more",
                    run.train.epochs, now.train.epochs));
  }
  return refused;
}

}  // namespace affuse
