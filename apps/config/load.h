// From a JSON file and command-line overrides to a checked Config, and back.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/config/config.h"

namespace affuse {

/// Parses strict JSON with comments, then applies `overrides` ("key.path=value"; the value is
/// JSON, a bare word a string; the last one wins), resolves and checks. `name` is the file's name
/// in messages. Throws ConfigError, one line: "NAME:LINE: path: what; what to do", or "argument
/// 'key=value': path: ..." for an override.
Config parse_config(std::string_view text, std::string_view name,
                    const std::vector<std::string>& overrides = {});

/// parse_config of a file of at most 1 MiB. Throws ConfigError also where it cannot be read.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

/// Fills what may be left open: noise.seed, fusion.alpha, swa.start_epoch, data.classes.
/// Idempotent.
Config resolve(Config config);

/// Checks keys against each other. Throws ConfigError ("path: what; what to do").
void check_config(const Config& config);

/// Throws ConfigError where schedule.warmup_steps exceeds the run's steps.
void check_warmup(const Config& config, std::int64_t steps_per_epoch);

/// Plain JSON of every key, in the table's order; parse_config reads it back to an equal Config.
/// `versions` (name without a dot, version) stands in an object of that name, which the parser
/// ignores.
std::string print_config(const Config& config,
                         const std::vector<std::pair<std::string, std::string>>& versions = {});

/// `next` as a run that has begun as `run` continues it: a start of SWA that only follows from the
/// number of epochs stays where it was.
Config continue_config(const Config& run, const Config& next);

/// What a resumed run must not change, one line a key, naming old and new. Only train.epochs (up),
/// train.device, train.threads, data.workers and output.* may change.
std::vector<std::string> compare_for_resume(const Config& run, const Config& next);

/// docs/config.schema.json: JSON Schema (draft 7) of the configuration.
std::string config_schema();

/// docs/config.md: the reference page.
std::string config_reference();

}  // namespace affuse
