// The scan's memory: one head line with the limits, then a csv table.
#include "data/scan_results.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

constexpr std::string_view kHeader = "path,bytes,modified_ns,reason\n";

std::int64_t integer(const CsvTable& table, std::size_t row, int column) {
  const std::string& text = table.text(row, column);
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) {
    throw DataError(table.place(row, column) + ": no whole number");
  }
  return value;
}

}  // namespace

std::optional<FileStamp> file_stamp(const std::string& path) {
  struct ::stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return FileStamp{std::int64_t{info.st_size},
                   std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

ScanResults::ScanResults(std::string file, const ImageLimits& limits)
    : file_(std::move(file)),
      first_line_(fmt::format("# affuse scan 1, limits {} {}\n", limits.max_file_bytes,
                              limits.max_pixels)) {
  if (file_.empty() || !file_stamp(file_)) return;
  try {
    const std::string text = read_text(file_);
    if (text.starts_with(first_line_)) {
      read_rows(std::string_view(text).substr(first_line_.size()));
    } else {
      log_info(file_ + ": from other limits or another version; the images are scanned anew");
    }
  } catch (const Error& e) {
    entries_.clear();
    log_warning(std::string(e.what()) + "; the images are scanned anew");
  }
}

void ScanResults::read_rows(std::string_view text) {
  const CsvTable table = CsvTable::parse(text, file_);
  const int path = table.require("path"), bytes = table.require("bytes");
  const int modified = table.require("modified_ns"), reason = table.require("reason");
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const FileStamp stamp{integer(table, r, bytes), integer(table, r, modified)};
    entries_.insert_or_assign(table.text(r, path), Entry{stamp, table.text(r, reason)});
  }
}

const std::string* ScanResults::find(const std::string& path, const FileStamp& stamp) const {
  const auto entry = entries_.find(path);
  return entry != entries_.end() && entry->second.stamp == stamp ? &entry->second.reason : nullptr;
}

void ScanResults::set(const std::string& path, const FileStamp& stamp, std::string reason) {
  entries_.insert_or_assign(path, Entry{stamp, std::move(reason)});
  changed_ = true;
}

void ScanResults::save() const {
  if (file_.empty() || !changed_) return;
  std::vector<const std::pair<const std::string, Entry>*> rows;
  for (const auto& entry : entries_) rows.push_back(&entry);
  std::ranges::sort(rows, {}, [](const auto* row) -> const std::string& { return row->first; });

  std::string text = first_line_;
  text += kHeader;
  for (const auto* row : rows) {
    text += fmt::format("{},{},{},{}\n", csv_field(row->first), row->second.stamp.bytes,
                        row->second.stamp.modified_ns, csv_field(row->second.reason));
  }
  try {
    write_file_atomic(file_, text);
  } catch (const Error& e) {
    log_warning(std::string(e.what()) + "; the next run scans the images again");
  }
}

}  // namespace affuse
