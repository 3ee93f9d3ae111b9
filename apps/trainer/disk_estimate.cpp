#include "apps/trainer/disk_estimate.h"

#include <filesystem>

#include <fmt/format.h>
#include <sys/statvfs.h>

#include "apps/trainer/dataset.h"
#include "engine/log.h"

namespace affuse {
namespace {

namespace fs = std::filesystem;

// Upper bounds in bytes, from the formats in trainer_files.cpp, evaluate.cpp and scan_results.cpp.
constexpr std::uint64_t kTensorHeader = 160;   // an entry of a safetensors header
constexpr std::uint64_t kMetadata = 64 << 10;  // configuration, label model, choices
constexpr std::uint64_t kStepRow = 112, kEpochRow = 512;
constexpr std::uint64_t kNumber = 24, kScanRow = 48, kPrediction = 96;

struct Tensors {
  std::uint64_t count = 0, bytes = 0;
  std::uint64_t file() const { return bytes + count * kTensorHeader + kMetadata; }
};

Tensors tensors(const Graph& graph, bool trained_only) {
  Tensors out;
  for (const Param& p : graph.params()) {
    if (trained_only && !p.trainable()) continue;
    ++out.count;
    out.bytes += static_cast<std::uint64_t>(p.shape.count()) * sizeof(float);
  }
  return out;
}

std::uint64_t path_bytes(const Manifest& manifest) {
  std::uint64_t bytes = 0;
  for (const Sample& s : manifest.samples) bytes += manifest.full_path(s).size();
  return bytes;
}

std::uint64_t table_bytes(const Config& config, const Manifest& train, const Manifest& val) {
  const auto epochs = static_cast<std::uint64_t>(config.train.epochs);
  const auto steps = epochs * static_cast<std::uint64_t>(steps_an_epoch(config, train));
  const std::uint64_t seen = train.samples.size(), held = val.samples.size();
  const std::uint64_t scan = path_bytes(train) + path_bytes(val) + (seen + held) * kScanRow;
  const std::uint64_t predictions =
      path_bytes(val) + held * (kPrediction + val.classes.size() * kNumber);
  return steps / static_cast<std::uint64_t>(config.train.log_every) * kStepRow +
         epochs * kEpochRow + scan + predictions + kMetadata;
}

// What a resumed run has written already.
std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code none;
    if (const std::uintmax_t size = it->file_size(none); !none) sum += size;
  }
  return sum;
}

}  // namespace

DiskNeed disk_need(const Config& config, const Graph& graph, const Manifest& train,
                   const Manifest& val) {
  const Tensors all = tensors(graph, false), trained = tensors(graph, true);
  const std::uint64_t averages = config.swa.enabled ? 1 : 0;
  const Tensors state{(1 + averages) * all.count + 2 * trained.count,  // Adam has two moments
                      (1 + averages) * all.bytes + 2 * trained.bytes};
  const int keep = config.output.keep;
  const std::uint64_t kept = keep > 0 ? static_cast<std::uint64_t>(config.train.epochs / keep) : 0;
  return {3 * state.file(), (1 + averages + kept) * all.file(), table_bytes(config, train, val)};
}

std::uint64_t synthetic_disk_bytes(const Config::Data::Synthetic& faces) {
  constexpr std::uint64_t kBlock = 4096;  // the least that a file takes
  const auto side = static_cast<std::uint64_t>(faces.size);
  const std::uint64_t image = (side * side / kBlock + 1) * kBlock;  // a byte a pixel at quality 95
  return static_cast<std::uint64_t>(faces.train + faces.val) * (image + 3 * kBlock);
}

std::optional<std::uint64_t> free_disk_bytes(const std::string& path) {
  std::error_code error;
  fs::path at = fs::absolute(path.empty() ? "." : path, error);
  while (!error && !fs::exists(at, error) && at.has_relative_path()) {
    error.clear();
    at = at.parent_path();
  }
  struct statvfs system {};
  if (::statvfs(at.c_str(), &system) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(system.f_bavail) * system.f_frsize;
}

void warn_of_a_small_disk(const DiskNeed& need, const std::string& folder) {
  const auto free = free_disk_bytes(folder);
  const std::uint64_t there = bytes_in(folder + "/checkpoints");
  if (!free || *free + there >= need.total()) return;
  const auto mebibytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576; };
  log_warning(
      fmt::format("{}: {:.1f} MiB of disk space are free, but the run needs {:.1f}; make "
                  "room or choose another --out",
                  folder, mebibytes(*free), mebibytes(need.total() - there)));
}

}  // namespace affuse
