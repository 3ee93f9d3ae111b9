// Several processes at one training: how they meet, agree and end.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "apps/terminal.h"
#include "apps/trainer/run_folder.h"
#include "apps/trainer/trainer.h"
#include "engine/rank_group.h"

namespace affuse {

/// The processes that srun, mpirun or torchrun started, this one alone where none did. All but the
/// first are quiet from now on. When another one ends, this process ends with status 1 and a line
/// that names it. Throws ConfigError (variables), Error (somebody does not come).
std::shared_ptr<RankGroup> meet_ranks();

/// While it lives, the line about a rank that ended names the folder's last checkpoint, and
/// status.json says failed.
class OthersEnd {
 public:
  explicit OthersEnd(const RunFolder& folder);
  ~OthersEnd();
  OthersEnd(const OthersEnd&) = delete;
  OthersEnd& operator=(const OthersEnd&) = delete;
};

/// run.log, which the first rank writes.
class RunLog {
 public:
  RunLog(const RunFolder& folder, const RankGroup& ranks) {
    if (ranks.first()) file_.emplace(folder.file("run.log"));
  }

 private:
  std::optional<LogFile> file_;
};

/// Throws ConfigError where the ranks cannot take even shares of a batch.
void check_shares(const Config& config, const RankGroup& ranks);
/// Throws ConfigError on a rank whose `what` is not the first one's.
void check_same(RankGroup& ranks, const std::string& what, const std::string& mine);
/// That all ranks train with the same configuration, data and labels.
void check_same_inputs(RankGroup& ranks, const TrainInputs& inputs, const std::string& labels);

}  // namespace affuse
