#include "apps/commands/train_ranks.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"

namespace affuse {
namespace {

/// The folder that a sudden end has to do with; the watch over the others reads it.
struct Current {
  std::mutex mutex;
  const RunFolder* folder = nullptr;
};

Current& current() {
  static Current one;
  return one;
}

/// On the watch's thread: the main thread may wait in a collective that never ends.
[[noreturn]] void end_with_others(const std::string& line) {
  const std::scoped_lock lock(current().mutex);
  std::string text = line;
  if (const RunFolder* folder = current().folder; folder != nullptr) {
    const std::string last = "checkpoints/last.safetensors";
    text += folder->has(last) ? ". The last checkpoint is " + folder->file(last)
                              : std::string(". There is no checkpoint yet");
    folder->write_failure(line);
  }
  std::fprintf(stderr, "affuse: %s\n", text.c_str());
  std::_Exit(1);
}

std::uint32_t checksum(std::string_view text) {
  return crc32c({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace

std::shared_ptr<RankGroup> meet_ranks() {
  const Environment environment = [](const char* name) { return std::getenv(name); };
  const Ranks ranks = ranks_from_environment(environment);
  if (ranks.size == 1) return std::make_shared<RankGroup>();
  if (ranks.rank > 0) {
    TerminalMode quiet = detect_terminal(true);
    quiet.bar = false;
    start_terminal(quiet);
    set_log_sink(nullptr);  // the first rank says the same
  }
  return std::make_shared<RankGroup>(ranks, rank_timeout_s(environment), end_with_others);
}

OthersEnd::OthersEnd(const RunFolder& folder) {
  const std::scoped_lock lock(current().mutex);
  current().folder = &folder;
}

OthersEnd::~OthersEnd() {
  const std::scoped_lock lock(current().mutex);
  current().folder = nullptr;
}

void check_shares(const Config& config, const RankGroup& ranks) {
  if (config.train.batch_size % ranks.size() != 0)
    throw ConfigError(
        fmt::format("train.batch_size: {} cannot be shared evenly by {} processes; take a multiple",
                    config.train.batch_size, ranks.size()));
  if (config.augment.mixup_in_use() > 0 && config.train.batch_size / ranks.size() < 2)
    throw ConfigError(fmt::format(
        "augment.mixup: {} blends pairs within a process, but train.batch_size {} gives "
        "each of {} processes one face; raise it to {} or set augment.mixup to 0",
        config.augment.mixup, config.train.batch_size, ranks.size(), 2 * ranks.size()));
}

void check_same(RankGroup& ranks, const std::string& what, const std::string& mine) {
  const std::string first = ranks.broadcast(mine);
  if (first != mine)
    throw ConfigError(fmt::format("rank {} has another {} than rank 0: {} instead of {}",
                                  ranks.rank(), what, mine, first));
}

void check_same_inputs(RankGroup& ranks, const TrainInputs& inputs, const std::string& labels) {
  if (ranks.size() == 1) return;
  check_same(ranks, "configuration",
             fmt::format("checksum {:08x}", checksum(print_config(inputs.config))));
  check_same(ranks, "training set", fingerprint(inputs.train.manifest));
  check_same(ranks, "label model", fmt::format("checksum {:08x}", checksum(labels)));
}

}  // namespace affuse
