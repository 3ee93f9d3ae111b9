// `affuse train`: the main job.
#pragma once
#include <string>
#include <vector>

namespace affuse {

struct TrainOptions {
  std::string config;                  ///< file; empty only with `resume`: the run's own
  std::vector<std::string> overrides;  ///< key.path=value
  std::string out;                     ///< run folder; empty: <output.dir>/<name>-<n>
  std::string resume;                  ///< run folder to go on with; empty: a new run
  bool dry_run = false;
  bool print_config = false;
  bool overwrite = false;  ///< a non-empty `out` may be emptied
  bool quiet = false;
};

/// Returns the exit status; failures are thrown.
int run_train(const TrainOptions& options);

}  // namespace affuse
