// Starts several processes at one training, by hand or by mpirun.
#pragma once
#include <memory>

#include "tests/apps/run_affuse.h"
#include "tests/engine/local_ranks.h"

namespace affuse::test {

/// Runs `affuse ARGUMENTS` as `size` ranks with torchrun's variables; they sum over TCP.
class RanksByHand {
 public:
  RanksByHand(const std::string& folder, const Arguments& arguments, int size = 2,
              const std::string& timeout_s = "60") {
    const std::string port = std::to_string(free_port());
    for (int r = 0; r < size; ++r) {
      const std::string rank = std::to_string(r);
      programs_.push_back(
          std::make_unique<Program>(folder, arguments, std::string(),
                                    Launch{{},
                                           {{"RANK", rank},
                                            {"LOCAL_RANK", rank},
                                            {"WORLD_SIZE", std::to_string(size)},
                                            {"MASTER_ADDR", "127.0.0.1"},
                                            {"MASTER_PORT", port},
                                            {"AFFUSE_RANK_TIMEOUT_S", timeout_s}}}));
    }
  }

  Program& operator[](int rank) { return *programs_[static_cast<std::size_t>(rank)]; }

  /// The outcomes by rank.
  std::vector<Outcome> finish() {
    std::vector<Outcome> all;
    for (const auto& program : programs_) all.push_back(program->finish());
    return all;
  }

 private:
  std::vector<std::unique_ptr<Program>> programs_;
};

/// mpirun, where two ranks may share a core and root may test. MPI's own leaks are not ours.
inline Launch by_mpirun(int size = 2) {
  return {{"mpirun", "--allow-run-as-root", "--oversubscribe", "-n", std::to_string(size)},
          {{"ASAN_OPTIONS", "detect_leaks=0"}, {"OMP_NUM_THREADS", "1"}}};
}

/// Faces and a configuration whose batches two ranks share: 6 steps of 16 faces an epoch, and one
/// of a single face, which leaves rank 1 without any.
inline void prepare_ranks(const Folder& folder) {
  affuse_ok(folder, {"synth", "--out", "faces", "--train", "97", "--val", "48", "--size", "32",
                     "--layout", "csv", "--quiet"});
  write_config(folder, "csv");
}

}  // namespace affuse::test
