// Checkpoints: written with a checksum over header and data, read with a fallback.
#include "weights/checkpoint.h"

#include <span>

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/log.h"
#include "engine/text.h"

namespace affuse {
namespace {

/// The checksum over header and data. The header is encoded anew from what it says, so that the
/// checksum can stand inside it and still cover names, shapes and metadata.
std::string checksum(std::span<const SafetensorsEntry> entries, Metadata metadata) {
  metadata[checksum_key] = "00000000";
  const std::string header = safetensors_header(entries, metadata);
  std::uint32_t crc = crc32c({reinterpret_cast<const std::uint8_t*>(header.data()), header.size()});
  for (const SafetensorsEntry& entry : entries) crc = crc32c(entry.bytes, crc);
  return fmt::format("{:08x}", crc);
}

}  // namespace

void write_checkpoint(const std::string& path, const std::string& prev_path,
                      const Checkpoint& checkpoint) {
  std::vector<SafetensorsEntry> entries = to_entries(checkpoint.tensors);
  sort_for_safetensors(entries);
  Metadata metadata = checkpoint.metadata;
  metadata[checksum_key] = checksum(entries, metadata);
  write_safetensors(path, std::move(entries), metadata, SafetensorsAlignment::word, prev_path);
}

Checkpoint read_checkpoint(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto found = file.metadata().find(checksum_key);
  if (found == file.metadata().end())
    throw WeightsError(fmt::format("{}: has no checksum; is it a checkpoint?", path));
  const std::string actual = checksum(file.entries(), file.metadata());
  if (actual != found->second)
    throw WeightsError(fmt::format("{}: is damaged: its checksum is {}, but it says {}", path,
                                   actual, in_quotes(found->second)));
  Checkpoint checkpoint{to_state_dict(file), file.metadata()};
  checkpoint.metadata.erase(checksum_key);
  return checkpoint;
}

Checkpoint read_checkpoint(const std::string& last, const std::string& prev) {
  std::string reason;
  try {
    return read_checkpoint(last);
  } catch (const WeightsError& error) {
    reason = error.what();
  }
  try {
    Checkpoint checkpoint = read_checkpoint(prev);
    log_warning(fmt::format("{}; going on from {}", reason, prev));
    return checkpoint;
  } catch (const WeightsError& error) {
    throw WeightsError(fmt::format("no usable checkpoint: {}; {}", reason, error.what()));
  }
}

}  // namespace affuse
